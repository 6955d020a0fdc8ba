// The live chart of what each image took, float against ternary.
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';

import { element } from './ui.js';

const height = 200;

export class LatencyChart {
  readonly #times: [number[], number[], number[]] = [[], [], []];
  #plot: uPlot | undefined;
  #due = false;

  add(float: number, ternary: number): void {
    this.#times[0].push(this.#times[0].length + 1);
    this.#times[1].push(float);
    this.#times[2].push(ternary);
    // At most once a frame, however fast the images come.
    if (this.#due) return;
    this.#due = true;
    requestAnimationFrame(() => {
      this.#due = false;
      this.draw();
    });
  }

  clear(): void {
    for (const list of this.#times) list.length = 0;
    this.#plot?.destroy();
    this.#plot = undefined;
  }

  /** Draws what there is; anew after the width or the colours have changed. */
  draw(anew = false): void {
    const box = element('latency');
    if (this.#times[0].length === 0 || box.clientWidth === 0) return;
    if (this.#plot && !anew) {
      this.#plot.setData(this.#times);
      return;
    }
    this.#plot?.destroy();
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string) => style.getPropertyValue(name).trim();
    const axis = {
      stroke: colour('--soft'),
      grid: { stroke: colour('--line') },
      ticks: { stroke: colour('--line') },
    };
    this.#plot = new uPlot(
      {
        width: box.clientWidth,
        height,
        scales: { x: { time: false }, y: { range: (_, __, most) => [0, most * 1.1] } },
        legend: { live: false },
        axes: [
          { ...axis, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500] },
          { ...axis, size: 56, values: (_, ticks) => ticks.map((tick) => `${tick} ms`) },
        ],
        series: [
          { label: 'image' },
          { label: 'float', stroke: colour('--float'), width: 2 },
          { label: 'ternary', stroke: colour('--green'), width: 2 },
        ],
      },
      this.#times,
      box,
    );
  }
}
