// A server for the tests' pages: files from functions and folders, with the headers that a test is about.
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';

import { chromium, type Browser } from 'playwright-core';

const types: Record<string, string> = {
  '.css': 'text/css',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.mjs': 'text/javascript',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
  '.webmanifest': 'application/manifest+json',
};

export interface Served {
  origin: string;
  /** Paths asked for, in order. */
  requests: string[];
  close(): Promise<void>;
}

/** `places` maps the beginnings of paths to folders, or whole paths to contents; the longest that fits counts. */
export async function serve(
  places: Record<string, string | Uint8Array>,
  headers: Record<string, string> = {},
): Promise<Served> {
  const requests: string[] = [];
  const prefixes = Object.keys(places).sort((a, b) => b.length - a.length);
  const server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url!, 'http://localhost').pathname));
    requests.push(path);
    const prefix = prefixes.find((candidate) => path.startsWith(candidate));
    const place = prefix === undefined ? undefined : places[prefix];
    const file = path.endsWith('/') ? 'index.html' : path.slice(prefix?.length ?? 0);
    const body =
      place instanceof Uint8Array
        ? Promise.resolve(place)
        : place === undefined
          ? Promise.reject(new Error(path))
          : readFile(join(place, file));
    body.then(
      (bytes) => {
        const type = types[extname(path) || '.html'] ?? 'application/octet-stream';
        response.writeHead(200, { 'content-type': type, ...headers }).end(bytes);
      },
      () => response.writeHead(404, { 'content-type': 'text/html' }).end('<!doctype html><p>not found</p>'),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Chromium without a display, a network of its own or a sandbox; `args` for what one test needs more. */
export function launchChromium(args: string[] = []): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      ...args,
    ],
  });
}
