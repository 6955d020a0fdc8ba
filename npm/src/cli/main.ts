// The command `trefoil`.
//
// Exit codes: 0 done; 1 something failed at work; 2 the command line is wrong; 3 a batch skipped images; 130 and 143 ended
// by SIGINT and SIGTERM.
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';

import { TrefoilError, messageOf } from '../errors.js';
import { version } from '../index.js';
import type { Method } from '../quantize-types.js';
import { batch, type BatchFlags } from './commands/batch.js';
import { bench, type BenchFlags } from './commands/bench.js';
import { classify, type ClassifyFlags } from './commands/classify.js';
import { evaluate, type EvaluateFlags } from './commands/evaluate.js';
import { exportCommand, type ExportFlags } from './commands/export.js';
import { inspect } from './commands/inspect.js';
import { quantize, type QuantizeFlags } from './commands/quantize.js';
import { sweep, type SweepFlags } from './commands/sweep.js';
import {
  above0,
  addOutputFlags,
  addPreprocessFlags,
  byteSize,
  wholeNumber,
  type OutputFlags,
} from './flags.js';
import type { ModelFlags } from './models.js';
import { printJson } from './terminal.js';

const exitCodes = { done: 0, failed: 1, usage: 2, skipped: 3, SIGINT: 130, SIGTERM: 143 } as const;

class Interrupted extends Error {
  constructor(readonly signal: 'SIGINT' | 'SIGTERM') {
    super(`ended by ${signal}`);
  }
}

/** The first signal ends the work in order, a second one at once. */
function signalsAsAbort(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(exitCodes[name]);
      controller.abort(new Interrupted(name));
    });
  }
  return controller.signal;
}

function groupSize(text: string): number | 'filter' {
  return text === 'filter' ? text : wholeNumber(1)(text);
}

function scaleLevels(text: string): 2 | 4 | 8 | 'free' {
  const levels = ([2, 4, 8, 'free'] as const).find((level) => String(level) === text);
  if (levels === undefined) throw new InvalidArgumentError("It must be 2, 4, 8 or 'free'.");
  return levels;
}

function percentile(text: string): number {
  const value = Number(text);
  if (!(value >= 50 && value <= 100)) throw new InvalidArgumentError('It must be from 50 to 100.');
  return value;
}

const methods = ['compensated', 'fgq', 'fgq-two-sided'] as const satisfies readonly Method[];

const collect = (text: string, list: string[]) => [...list, text];

function addClassLabels(command: Command): Command {
  return command.option('--class-labels <file>', 'names for the classes of an .onnx, one a line');
}

/** Which of the labelled images to score, and how their classes are named. */
function addImageFlags(command: Command): Command {
  return command
    .option('--labels <csv>', 'for a flat folder of images: a CSV with the columns file and class')
    .option('--skip <n>', 'leave out the first N images', wholeNumber(0), 0)
    .option('--count <n>', 'stop after N images', wholeNumber(1))
    .option('--class-offset <n>', 'added to class numbers of the images', wholeNumber(0), 0);
}

function inspectCommand(signal: AbortSignal): Command {
  const command = new Command('inspect')
    .description('show the layers, shapes and bytes of a model, and what is supported of it')
    .argument('<model>', 'a .trefoil or an .onnx');
  addPreprocessFlags(addOutputFlags(command));
  return command.action((model: string, flags: ModelFlags & OutputFlags) => inspect(model, flags, signal));
}

function quantizeCommand(signal: AbortSignal): Command {
  const command = new Command('quantize')
    .description('make a ternary model of a float one')
    .argument('<model>', 'an .onnx')
    .requiredOption('-o, --output <file>', 'the .trefoil to write')
    .option('--calibration <images>', 'pictures like those that it will see (none: batch norms stand in)')
    .option('--calibration-count <n>', 'how many of them to use, evenly spread', wholeNumber(1), 64)
    .option(
      '--bytes <size>',
      "choose each layer's weights for the best accuracy in a file like 3MB",
      byteSize,
    )
    .option(
      '--top1-loss <points>',
      'choose them for the fewest bits that lose at most so many points of top-1, measured on a quarter of the images',
      above0,
    )
    .option(
      '--milliseconds <ms>',
      'choose them for the best accuracy at about that time on this machine',
      above0,
    )
    .option('--group-size <n>', "weights that share a scale, or 'filter' (default: 4)", groupSize)
    .option(
      '--scale-levels <n>',
      "different scales a filter may have: 2, 4, 8 or 'free' (default: 4)",
      scaleLevels,
    )
    .addOption(
      new Option('--level-kind <name>', 'what these scales may be (default: "fitted")').choices([
        'fitted',
        'powers-of-2',
        'powers-of-sqrt-2',
      ]),
    )
    .option('--planes <n>', 'ternary planes that a filter is the sum of (default: 1)', wholeNumber(1, 2))
    .option('--activation-bits <n>', 'bits of activations', wholeNumber(4, 8), 8)
    .option(
      '--residual-bits <n>',
      'bits of sums, of linear bottlenecks and in front of depthwise layers',
      wholeNumber(4, 8),
      8,
    )
    .addOption(
      new Option('--method <name>', 'how scales are found (default: "compensated")').choices(methods),
    )
    .option('--layer <name:key=value>', 'what one layer does differently (may be repeated)', collect, [])
    .option('--labels <file>', 'names of the classes, one a line')
    .addOption(
      new Option('--clip <rule>', 'how ranges of activations are found')
        .choices(['mse', 'max', 'percentile'])
        .default('mse'),
    )
    .option('--percentile <p>', 'for --clip percentile (default: 99.99)', percentile)
    .option('--no-affine', "leave each filter's mean and deviation as they come");
  addPreprocessFlags(addOutputFlags(command));
  command.addHelpText(
    'after',
    '\nKeys of --layer: weights=ternary|int8, method=NAME, group-size=N|filter, scale-levels=N|free,\n' +
      'level-kind=NAME, planes=N, activation-bits=N; several with commas.',
  );
  return command.action((model: string, flags: QuantizeFlags) => quantize(model, flags, signal));
}

function classifyCommand(signal: AbortSignal): Command {
  const command = new Command('classify')
    .description('name what pictures show')
    .argument('<model>', 'a .trefoil or an .onnx')
    .argument('<image...>', 'image files')
    .option('--top-k <n>', 'how many classes to name', wholeNumber(1), 5);
  addClassLabels(addPreprocessFlags(addOutputFlags(command)));
  return command.action(async (model: string, images: string[], flags: ClassifyFlags) => {
    if (!(await classify(model, images, flags, signal))) process.exitCode = exitCodes.failed;
  });
}

function evaluateCommand(signal: AbortSignal): Command {
  const command = new Command('evaluate')
    .description('count how often a model is right')
    .argument('<model>', 'a .trefoil or an .onnx')
    .requiredOption('--images <images>', 'a folder with one sub-folder a class, a manifest, ...')
    .option('--against <model.onnx>', 'a float network to compare with')
    .option(
      '--layers <n>',
      'with --against: images to compare the results of layers on, 0 for none (default: 16)',
      wholeNumber(0),
    );
  addImageFlags(command);
  addClassLabels(addPreprocessFlags(addOutputFlags(command)));
  return command.action((model: string, flags: EvaluateFlags) => evaluate(model, flags, signal));
}

function shard(text: string): { index: number; count: number } {
  const [index, count] = (/^(\d+)\/(\d+)$/.exec(text) ?? []).slice(1).map(Number);
  if (!index || !count || index > count) throw new InvalidArgumentError('It must read I/N, from 1/N to N/N.');
  return { index, count };
}

function batchCommand(signal: AbortSignal): Command {
  const command = new Command('batch')
    .description('name what many pictures show, on several threads, into a file')
    .argument('<images...>', "files, folders, manifests or patterns like 'photos/**/*.jpg'")
    .requiredOption('--model <file>', 'a .trefoil')
    .requiredOption('--out <file>', 'the records: JSON Lines, or CSV where the name ends in .csv')
    .addOption(new Option('--format <name>', 'whatever the name ends in').choices(['jsonl', 'csv']))
    .option('--top-k <n>', 'how many classes to name', wholeNumber(1), 5)
    .option('--workers <n>', 'threads (default: one a core)', wholeNumber(1, 256))
    .addOption(
      new Option('--shard <i/n>', 'only every n-th image, from the i-th on')
        .argParser(shard)
        .default({ index: 1, count: 1 }, '1/1'),
    )
    .option('--resume', 'go on where a batch with the same --out was ended, or killed');
  addOutputFlags(command);
  return command.action(async (images: string[], flags: BatchFlags) => {
    const end = await batch(images, flags, signal);
    if (end === 'skipped') process.exitCode = exitCodes.skipped;
    if (end === 'interrupted') process.exitCode = exitCodeOf(signal.reason);
  });
}

function benchCommand(signal: AbortSignal): Command {
  const command = new Command('bench')
    .description('time a model on this machine, from image tensor to logits')
    .argument('<model>', 'a .trefoil')
    .option('--runs <n>', 'how often to run it, after a warm-up', wholeNumber(1, 1e6), 20)
    .option('--layers', 'show where the time goes: a table of all layers')
    .option(
      '--tune <ms>',
      'first find and remember the fastest kernels, in so many milliseconds',
      wholeNumber(1, 1e6),
    )
    .option('--threads <n>', 'threads to run it on', wholeNumber(1, 16), 1);
  addOutputFlags(command);
  return command.action((model: string, flags: BenchFlags) => bench(model, flags, signal));
}

function exportOnnxCommand(signal: AbortSignal): Command {
  const command = new Command('export')
    .description('write a ternary model as a standard ONNX graph, for other engines')
    .argument('<model>', 'a .trefoil')
    .requiredOption('-o, --output <file>', 'the .onnx to write');
  addOutputFlags(command);
  return command.action((model: string, flags: ExportFlags) => exportCommand(model, flags, signal));
}

/** "4,64": one point of a grid each. */
function listOf<T>(one: (text: string) => T): (text: string) => T[] {
  return (text) => [...new Set(text.split(',').map((item) => one(item.trim())))];
}

function method(text: string): Method {
  const found = methods.find((name) => name === text);
  if (!found) throw new InvalidArgumentError(`Allowed choices are ${methods.join(', ')}.`);
  return found;
}

function sweepCommand(signal: AbortSignal): Command {
  const command = new Command('sweep')
    .description('quantize and score a grid of recipes; going on where an earlier run ended')
    .argument('<model>', 'an .onnx')
    .requiredOption('-o, --output <folder>', 'for sweep.csv, sweep.md, sweep.svg and what it needs to go on')
    .requiredOption('--calibration <images>', 'pictures like those that the network will see')
    .requiredOption('--images <images>', 'labelled pictures to score, other ones')
    .option('--calibration-count <n>', 'how many of them to use, evenly spread', wholeNumber(1), 64)
    .option('--group-size <list>', "weights that share a scale, or 'filter'", listOf(groupSize), [4, 64])
    .option('--planes <list>', 'ternary planes that a filter is the sum of', listOf(wholeNumber(1, 2)), [1])
    .option('--activation-bits <list>', 'bits of activations', listOf(wholeNumber(4, 8)), [8])
    .option('--scale-levels <list>', "different scales a filter may have, or 'free'", listOf(scaleLevels), [
      'free',
    ])
    .option('--method <list>', 'fgq, fgq-two-sided, compensated', listOf(method), ['fgq'])
    .option(
      '--residual-bits <n>',
      'bits of sums, of linear bottlenecks and in front of depthwise layers',
      wholeNumber(4, 8),
      8,
    );
  addImageFlags(command);
  addClassLabels(addPreprocessFlags(addOutputFlags(command)));
  return command.action((model: string, flags: SweepFlags) => sweep(model, flags, signal));
}

const imagesHelp = `
IMAGES is a folder with one sub-folder a class, a folder of images (with --labels CSV, where classes are needed), a
manifest (.csv or .jsonl with file and class; files relative to it), or a file in CIFAR-10's binary format.
Exit codes: 0 done, 1 failed, 2 wrong command line, 3 a batch skipped images, 130 interrupted.`;

function makeProgram(signal: AbortSignal): Command {
  const program = new Command('trefoil')
    .description('Quantizes image classifiers to ternary weights, and runs them on integers.')
    .version(version)
    .showHelpAfterError('(--help shows the options)')
    .addHelpText('after', imagesHelp);
  const commands = [
    inspectCommand(signal),
    quantizeCommand(signal),
    classifyCommand(signal),
    evaluateCommand(signal),
    exportOnnxCommand(signal),
    batchCommand(signal),
    benchCommand(signal),
    sweepCommand(signal),
  ];
  for (const command of commands) program.addCommand(command.copyInheritedSettings(program));
  for (const command of [program, ...commands]) command.exitOverride();
  return program;
}

function exitCodeOf(error: unknown): number {
  if (error instanceof Interrupted) return exitCodes[error.signal];
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
  const usage = error instanceof TrefoilError && ['BAD_OPTION', 'NOT_AVAILABLE'].includes(error.code);
  return usage ? exitCodes.usage : exitCodes.failed;
}

function explain(error: unknown, json: boolean): void {
  const code =
    error instanceof TrefoilError ? error.code : error instanceof Interrupted ? 'ABORTED' : 'INTERNAL';
  if (error instanceof CommanderError) {
    // Commander has written its message, or the help that was asked for, already.
    if (json && error.exitCode !== 0) {
      printJson({
        error: { code: 'BAD_OPTION', message: error.message.replace(/^error: /, ''), details: {} },
      });
    }
    return;
  }
  const details = error instanceof TrefoilError ? error.details : {};
  if (json) printJson({ error: { code, message: messageOf(error), details } });
  process.stderr.write(`error: ${messageOf(error)} (${code})\n`);
  if (code === 'INTERNAL' && error instanceof Error) process.stderr.write(`${error.stack ?? ''}\n`);
}

async function main(): Promise<void> {
  // Whoever reads our output may have seen enough.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    process.exit(error.code === 'EPIPE' ? exitCodes.done : exitCodes.failed);
  });
  try {
    await makeProgram(signalsAsAbort()).parseAsync();
  } catch (error) {
    explain(error, process.argv.includes('--json'));
    process.exitCode = exitCodeOf(error);
  }
}

await main();
