#!/usr/bin/env node
// Exists before the package is built, so that npm can link the command in a fresh checkout.
import '../dist/cli.js';
