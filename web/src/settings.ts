// The recipe's controls: what each choice costs, and the same settings in the page's address.
import type { QuantizeOptions } from 'trefoil/quantize';

import { element } from './ui.js';

/** Controls by the name of their parameter in the address. */
export const controls = {
  n: 'group-size',
  planes: 'planes',
  levels: 'scale-levels',
  bits: 'activation-bits',
  method: 'method',
} as const;

type Name = keyof typeof controls;

const select = (name: Name) => element<HTMLSelectElement>(controls[name]);
const names = Object.keys(controls) as Name[];

export type RecipeSettings = Required<
  Pick<QuantizeOptions, 'groupSize' | 'planes' | 'scaleLevels' | 'activationBits' | 'method'>
>;

function recipe(): RecipeSettings {
  const group = select('n').value;
  const levels = select('levels').value;
  return {
    groupSize: group === 'filter' ? 'filter' : Number(group),
    planes: Number(select('planes').value) as 1 | 2,
    scaleLevels: levels === 'free' ? 'free' : (Number(levels) as 2 | 4 | 8),
    activationBits: Number(select('bits').value),
    method: select('method').value as RecipeSettings['method'],
  };
}

/** The package's own form is left to the package, which gives layers that need them more bits. */
export function quantizeOptions(): Partial<RecipeSettings> {
  const { activationBits, ...form } = recipe();
  const { groupSize, planes, scaleLevels, method } = form;
  const usual = groupSize === 4 && planes === 1 && scaleLevels === 4 && method === 'compensated';
  return usual ? { activationBits } : { activationBits, ...form };
}

/** Bits of one weight: two for each plane, and its share of the scales. */
function bitsPerWeight({ groupSize, planes, scaleLevels, method }: RecipeSettings): number {
  const bitsPerScale = scaleLevels === 'free' ? 8 : Math.log2(scaleLevels);
  const signs = method === 'fgq-two-sided' ? 2 : 1;
  const perWeight = groupSize === 'filter' ? 0 : (signs * bitsPerScale) / groupSize;
  return planes * (2 + perWeight);
}

function describe(settings: RecipeSettings): void {
  const { groupSize, planes, scaleLevels, activationBits, method } = settings;
  const removed = groupSize === 'filter' ? undefined : 1 - planes / groupSize;
  const costs: Record<Name, string> = {
    n:
      removed === undefined
        ? 'one multiplication a filter and pixel; the least accurate'
        : `at least ${(100 * removed).toFixed(1)}% fewer multiplications`,
    planes: planes === 2 ? 'twice the additions and bits, much more accurate' : 'the fewest additions',
    levels:
      scaleLevels === 'free'
        ? '8 bits a scale'
        : `${Math.log2(scaleLevels)} bits a scale, ${scaleLevels} multiplications a filter and pixel`,
    bits:
      activationBits === 8
        ? 'the most accurate'
        : `less accurate${activationBits < 6 ? ', often faster' : ''}`,
    method: {
      fgq: 'the exact best scale of each group',
      'fgq-two-sided': 'twice the scales, a little closer',
      compensated: 'slower to make, more accurate',
    }[method],
  };
  for (const name of names) element(`${controls[name]}-cost`).textContent = costs[name];
  const bits = bitsPerWeight(settings);
  element('estimate').textContent =
    `About ${bits.toFixed(2)} bits a weight: ternary layers become ${(32 / bits).toFixed(1)} times smaller.`;
}

/** Two-sided scales are one plane's, and as many as there are groups. */
function settleChoices(): void {
  const twoSided = select('method').value === 'fgq-two-sided';
  if (twoSided) {
    select('planes').value = '1';
    select('levels').value = 'free';
  }
  select('planes').disabled = twoSided;
  select('levels').disabled = twoSided;
}

const defaultOf = ({ options }: HTMLSelectElement): string =>
  [...options].find(({ defaultSelected }) => defaultSelected)?.value ?? options[0]!.value;

function changed(): void {
  settleChoices();
  describe(recipe());
  const address = new URL(location.href);
  for (const name of names) {
    const control = select(name);
    if (control.value === defaultOf(control)) address.searchParams.delete(name);
    else address.searchParams.set(name, control.value);
  }
  history.replaceState(null, '', address);
  element('share-note').textContent = '';
}

async function share(): Promise<void> {
  const note = element('share-note');
  try {
    await navigator.clipboard.writeText(location.href);
    note.textContent = 'Copied: the address has these settings.';
  } catch {
    note.textContent = `Copy the page's address: it has these settings.`;
  }
}

export function startSettings(): void {
  const given = new URL(location.href).searchParams;
  for (const name of names) {
    const control = select(name);
    const value = given.get(name);
    // A browser may restore what was chosen before; an address may have been typed, or be of another version of the page.
    control.value =
      value !== null && [...control.options].some((option) => option.value === value)
        ? value
        : defaultOf(control);
    control.addEventListener('change', changed);
  }
  element('share').addEventListener('click', () => void share());
  changed();
}
