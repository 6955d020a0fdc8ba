// What the project wants to reach, as ratios within one run.

const ternary = (model, recipe) => ({ model, runner: 'trefoil', recipe });
const floatOrt = { runner: 'onnxruntime-web', precision: 'fp32' };

/** `against`: 'fp32' is onnxruntime-web in float, 'fastest' the fastest peer in any precision. */
export const speedTargets = [
  { what: 'ResNet-50, N=64, 4-bit', of: ternary('resnet50', 'n64-a4'), against: 'fp32', least: 8, aim: 15 },
  { what: 'ResNet-50, N=64, 8-bit', of: ternary('resnet50', 'n64-a8'), against: 'fp32', least: 6, aim: 9 },
  {
    what: 'ResNet-50, N=4 with 4 scale levels, 8-bit',
    of: ternary('resnet50', 'n4-l4-a8'),
    against: 'fp32',
    least: 5,
    aim: 9,
  },
  {
    what: 'ResNet-50, two planes, N=64, 8-bit',
    of: ternary('resnet50', 'n64-p2-a8'),
    against: 'fp32',
    least: 3.5,
    aim: 6,
  },
  { what: 'ResNet-50, N=64, 8-bit', of: ternary('resnet50', 'n64-a8'), against: 'fastest', least: 3, aim: 5 },
  {
    what: 'ResNet-50, N=4 with 4 scale levels, 8-bit',
    of: ternary('resnet50', 'n4-l4-a8'),
    against: 'fastest',
    least: 2.7,
    aim: 5,
  },
  { what: 'ResNet-18, N=64, 8-bit', of: ternary('resnet18', 'n64-a8'), against: 'fp32', least: 5, aim: 9 },
  { what: 'AlexNet, N=64, 8-bit', of: ternary('alexnet', 'n64-a8'), against: 'fp32', least: 5, aim: 9 },
  {
    what: 'SqueezeNet 1.1, by default',
    of: ternary('squeezenet', 'default'),
    against: 'fp32',
    least: 2.5,
    aim: 5,
  },
  {
    what: 'MobileNet v2, by default',
    of: ternary('mobilenet', 'default'),
    against: 'fp32',
    least: 2.2,
    aim: 4,
  },
];

const matches = (row, fields) => Object.entries(fields).every(([name, value]) => row[name] === value);

function verdict(value, least, aim) {
  return value >= aim ? 'aim met' : value >= least ? 'met' : 'missed';
}

const times = (value) => `${value.toFixed(2)}x`;

/** [what, at least, aim, measured, verdict, by processor time, verdict] for one engine; what was not measured is left out. */
export function targetRows(rows, engine, gzipped) {
  const here = rows.filter((row) => row.engine === engine);
  const single = here.filter(({ threads }) => threads === 1);
  const results = [];
  const add = (what, least, aim, value, { shown = times, byProcessor } = {}) => {
    const lower = least > aim;
    const judge = (found) => (lower ? verdict(-found, -least, -aim) : verdict(found, least, aim));
    const second = byProcessor ? [shown(byProcessor), judge(byProcessor)] : ['', ''];
    results.push([what, shown(least), shown(aim), shown(value), judge(value), ...second]);
  };
  const find = (list, fields) => list.find((row) => matches(row, fields));

  for (const { what, of, against, least, aim } of speedTargets) {
    const ours = find(single, of);
    const peers = single.filter(({ model, runner }) => model === of.model && runner !== 'trefoil');
    const otherBy = (field) =>
      against === 'fp32' ? find(peers, floatOrt) : peers.toSorted((a, b) => a[field] - b[field])[0];
    const other = otherBy('min_ms');
    if (!ours || !other) continue;
    const mark = `${other.runner} ${other.precision}`;
    const byProcessor = ours.cpu_ms ? otherBy('cpu_ms').cpu_ms / ours.cpu_ms : undefined;
    add(
      `${what}, against ${against === 'fp32' ? mark : `the fastest peer (${mark})`}`,
      least,
      aim,
      other.min_ms / ours.min_ms,
      { byProcessor },
    );
  }
  const ours = find(single, ternary('resnet50', 'n64-a8'));
  const theirs = find(single, { model: 'resnet50', ...floatOrt });
  const two = find(here, { ...ternary('resnet50', 'n64-a8'), threads: 2 });
  if (ours && two)
    add('ResNet-50, N=64, 8-bit: two threads against one', 1.7, 1.95, ours.min_ms / two.min_ms);
  if (ours && theirs) {
    if (ours.first_ms && theirs.first_ms) {
      add('ResNet-50, cold start, against onnxruntime-web fp32', 3, 10, theirs.first_ms / ours.first_ms);
    }
    add('ResNet-50, wasm memory, against onnxruntime-web fp32', 3, 8, theirs.wasm_bytes / ours.wasm_bytes);
  }
  if (ours) {
    add('ResNet-50, reading and preparing', 300, 100, ours.prepare_ms, {
      shown: (ms) => `${ms.toFixed(0)} ms`,
      byProcessor: ours.prepare_cpu_ms,
    });
  }
  if (gzipped)
    add('runtime .wasm, gzipped', 100, 60, gzipped / 1000, {
      shown: (kilobytes) => `${kilobytes.toFixed(0)} KB`,
    });
  return results;
}
