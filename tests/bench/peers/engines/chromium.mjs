// Seats in pages of Chromium, each in a page (and process) of its own.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';

import { chromium } from 'playwright-core';

import { serve } from './server.mjs';

const options = {
  executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
  ],
};

export class ChromiumEngine {
  #root;
  #server;
  #context;
  #profile;

  static async start(root) {
    const engine = new ChromiumEngine();
    engine.#root = root;
    engine.#server = await serve(root);
    // A profile on disk, so that caches are those of a visitor who comes back.
    engine.#profile = await mkdtemp(join(tmpdir(), 'trefoil-bench-'));
    engine.#context = await chromium.launchPersistentContext(engine.#profile, options);
    const page = await engine.#context.newPage();
    const agent = await page.evaluate(() => navigator.userAgent);
    engine.name = `Chromium ${engine.#context.browser()?.version() ?? /Chrome\/([\d.]+)/.exec(agent)[1]}`;
    await page.close();
    return engine;
  }

  /** With the paths of a spec as the server knows them. */
  #served(spec) {
    const path = (file) => relative(this.#root, file);
    const files = Object.fromEntries(Object.entries(spec.files).map(([name, file]) => [name, path(file)]));
    return { ...spec, files, pictures: path(spec.pictures) };
  }

  async seat({ threads }) {
    const page = await this.#context.newPage();
    await page.goto(`${this.#server.address}${threads > 1 ? '/alone' : '/'}`);
    await page.waitForFunction(() => window.seat !== undefined);
    const protocol = await this.#context.newCDPSession(page);
    await protocol.send('Performance.enable', { timeDomain: 'threadTicks' });
    return {
      call: async (method, ...given) => {
        const sent = method === 'open' ? [this.#served(given[0])] : given;
        const reply = await page.evaluate(
          ([name, list]) =>
            window.seat[name](...list).then(
              (value) => ({ value }),
              (error) => ({ error: { code: error.code, message: String(error.message ?? error) } }),
            ),
          [method, sent],
        );
        if (reply.error) throw Object.assign(new Error(reply.error.message), { code: reply.error.code });
        return reply.value;
      },
      async processorTime() {
        const { metrics } = await protocol.send('Performance.getMetrics');
        return metrics.find(({ name }) => name === 'ThreadTime').value * 1000;
      },
      close: () => page.close(),
    };
  }

  /**
   * Milliseconds from opening a page to its first answer, `count` times. Scripts and .wasm files come from the browser's HTTP
   * cache and the model from Cache Storage, where two visits before have left them.
   */
  async coldStarts(spec, count) {
    const times = [];
    for (let i = -2; i < count; ++i) {
      const page = await this.#context.newPage();
      const given = JSON.stringify({ ...this.#served(spec), tested: 1 });
      await page.goto(`${this.#server.address}/?open=${encodeURIComponent(given)}`);
      const time = await page.evaluate(() => window.first);
      if (i >= 0) times.push(time);
      await page.close();
    }
    return times;
  }

  async close() {
    await this.#context.close();
    this.#server.close();
    await rm(this.#profile, { recursive: true, force: true });
  }
}
