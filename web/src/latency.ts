// The live chart of what each image took, a line for each network.
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';

import { element } from './ui.js';

const height = 220;

export interface Line {
  name: string;
  /** A custom property of the page's style. */
  colour: string;
}

export class LatencyChart {
  #lines: Line[] = [];
  /** Numbers of the images, then a list of milliseconds a line. */
  #columns: number[][] = [[]];
  #plot: uPlot | undefined;
  #due = false;

  /** Forgets what was drawn. */
  start(lines: Line[]): void {
    this.#lines = lines;
    this.#columns = [[], ...lines.map((): number[] => [])];
    this.#plot?.destroy();
    this.#plot = undefined;
  }

  add(milliseconds: number[]): void {
    const [images, ...columns] = this.#columns;
    images!.push(images!.length + 1);
    for (const [i, column] of columns.entries()) column.push(milliseconds[i]!);
    // At most once a frame, however fast the images come.
    if (this.#due) return;
    this.#due = true;
    requestAnimationFrame(() => {
      this.#due = false;
      this.draw();
    });
  }

  /** Draws what there is; anew after the width or the colours have changed. */
  draw(anew = false): void {
    const box = element('latency');
    if (this.#columns[0]!.length === 0 || box.clientWidth === 0) return;
    const data = this.#columns as uPlot.AlignedData;
    if (this.#plot && !anew) {
      this.#plot.setData(data);
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
          { ...axis, size: 60, values: (_, ticks) => ticks.map((tick) => `${tick} ms`) },
        ],
        series: [
          { label: 'image' },
          ...this.#lines.map((line) => ({
            label: line.name,
            stroke: colour(line.colour),
            width: 2,
            // A single image has no line.
            points: { show: (_: uPlot, __: number, first: number, last: number) => last - first < 12 },
          })),
        ],
      },
      data,
      box,
    );
  }
}
