// The rows of a float prototype's accuracy table that recipes can say, with the points of top-1 that it lost: ResNet-20, CIFAR-10 as
// JPEG, 512 calibration images unless said, codes and scales on exact grids and all else in float. `lost`: from, to where it gave two.
const free = { scaleLevels: 'free' };
const plain = { ...free, method: 'fgq' };
const planes = { ...free, planes: 2 };
const all4 = { activationBits: 4, residualBits: 4 };

const row = (name, lost, options) => ({ name, lost: [lost].flat(), ...options });

export const studyNetwork = 'resnet20_cifar10_jpeg';
export const study = [
  row('int8 weights, A8', 0.04, { weights: 'int8' }),
  row('int8 weights, A4', 0.4, { weights: 'int8', activationBits: 4 }),
  row('int8 weights, A4 in sums too', 1.3, { weights: 'int8', ...all4 }),
  row('N=4, plain, no affine correction', 30.9, { ...plain, groupSize: 4, affineCorrection: false }),
  row('N=64, plain, no affine correction', 72.9, { ...plain, groupSize: 64, affineCorrection: false }),
  row('N=4, plain, A8', 3.3, { ...plain, groupSize: 4 }),
  row('N=4, plain, A4 in sums too', 4.4, { ...plain, groupSize: 4, ...all4 }),
  row('N=16, plain, A8', 7.8, { ...plain, groupSize: 16 }),
  row('N=16, plain, A4 in sums too', 9.2, { ...plain, groupSize: 16, ...all4 }),
  row('N=64, plain, A8', 9.0, { ...plain, groupSize: 64 }),
  row('N=64, plain, A4 in sums too', 10.8, { ...plain, groupSize: 64, ...all4 }),
  row('N=4, A8', 0.9, { ...free, groupSize: 4 }),
  row('N=4, A4', 1.2, { ...free, groupSize: 4, activationBits: 4 }),
  row('N=4, A4 in sums too', 1.7, { ...free, groupSize: 4, ...all4 }),
  row('N=8, A8', 1.3, { ...free, groupSize: 8 }),
  row('N=8, A4 in sums too', 2.5, { ...free, groupSize: 8, ...all4 }),
  row('N=16, A8', 2.0, { ...free, groupSize: 16 }),
  row('N=16, A4 in sums too', 2.8, { ...free, groupSize: 16, ...all4 }),
  row('N=32, A8', 2.2, { ...free, groupSize: 32 }),
  row('N=64, A8', 2.3, { ...free, groupSize: 64 }),
  row('N=64, A8, 64 images', 2.8, { ...free, groupSize: 64, calibration: 64 }),
  row('N=64, A8, 2048 images', 2.1, { ...free, groupSize: 64, calibration: 2048 }),
  row('N=64, A4', 2.5, { ...free, groupSize: 64, activationBits: 4 }),
  row('N=64, A4 in sums too', 3.5, { ...free, groupSize: 64, ...all4 }),
  row('N=4, 4 levels, A8', 0.8, { groupSize: 4 }),
  row('N=4, 4 levels, A4', 2.2, { groupSize: 4, activationBits: 4 }),
  row('N=4, 4 levels, powers of 2, A8', 1.1, { groupSize: 4, levelKind: 'powers-of-2' }),
  row('N=4, 4 levels, powers of sqrt 2, A8', 1.0, { groupSize: 4, levelKind: 'powers-of-sqrt-2' }),
  row('N=4, 2 levels, A8', [1.5, 2.5], { groupSize: 4, scaleLevels: 2 }),
  row('N=4, 8 levels, A8', [0.6, 1.0], { groupSize: 4, scaleLevels: 8 }),
  row('N=64, 2 planes, plain, A8', 1.1, { ...planes, method: 'fgq', groupSize: 64 }),
  row('N=64, 2 planes, plain, A4 in sums too', 1.9, { ...planes, method: 'fgq', groupSize: 64, ...all4 }),
  row('N=64, 2 planes, A8', 0.2, { ...planes, groupSize: 64 }),
  row('N=64, 2 planes, A4', 0.8, { ...planes, groupSize: 64, activationBits: 4 }),
  row('N=64, 2 planes, A4 in sums too', 1.1, { ...planes, groupSize: 64, ...all4 }),
  row('N=32, 2 planes, A8', 0.3, { ...planes, groupSize: 32 }),
];

/** How many points more than the prototype a recipe loses; 0 within its range. */
export function beyond(lost, drop) {
  return Math.max(drop - lost.at(-1), Math.min(0, drop - lost[0]));
}
