// The points of a sweep: the product of what is varied, and what each is found to be worth.
import type { Method, QuantizeOptions } from '../../quantize-types.js';

/** What a sweep varies. */
export interface Grid {
  groupSize: (number | 'filter')[];
  planes: number[];
  activationBits: number[];
  method: Method[];
  scaleLevels: (number | 'free')[];
}

export type Recipe = Required<
  Pick<QuantizeOptions, 'groupSize' | 'planes' | 'activationBits' | 'method' | 'scaleLevels'>
>;

export interface Figures {
  top1: number;
  top5: number;
  interval: [number, number];
  /** Of the images with the float network. */
  agreement: number;
  count: number;
  /** Of one image. */
  milliseconds: number;
  bitsPerWeight: number;
  fileBytes: number;
  zeroShare: number;
  multiplicationsRemoved: number;
  /** Of quantizing. */
  seconds: number;
}

/** A recipe with its figures, or with why there are none. */
export type Point = { recipe: Recipe } & ({ figures: Figures } | { refused: string });

export function recipesOf(grid: Grid): Recipe[] {
  return grid.method.flatMap((method) =>
    grid.planes.flatMap((planes) =>
      grid.groupSize.flatMap((groupSize) =>
        grid.scaleLevels.flatMap((scaleLevels) =>
          grid.activationBits.map(
            (activationBits) => ({ method, planes, groupSize, scaleLevels, activationBits }) as Recipe,
          ),
        ),
      ),
    ),
  );
}

export const keyOf = ({ method, planes, groupSize, scaleLevels, activationBits }: Recipe) =>
  [method, planes, groupSize, scaleLevels, activationBits].join(' ');

/** Whether a point is better than it on both axes is what makes another one not worth it. */
export function frontier<T>(items: readonly T[], cost: (item: T) => number, worth: (item: T) => number): T[] {
  return items.filter(
    (item) =>
      !items.some(
        (other) =>
          cost(other) <= cost(item) &&
          worth(other) >= worth(item) &&
          (cost(other) < cost(item) || worth(other) > worth(item)),
      ),
  );
}
