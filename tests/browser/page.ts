// The demo page as it is built, in headless Chromium, driven as a visitor would: served as static files, under its policy. What
// the tests of it share.
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll } from 'vitest';

import { launchChromium, serve, type Served } from './serve.js';

export const root = resolve(import.meta.dirname, '../..');
export const dist = join(root, 'web/dist');
export const screenshots = join(root, 'build/screenshots');
export const pictures = ['00', '01'].map((name) => join(root, `models/signs/calibration/${name}.png`));
const axe = readFileSync(join(root, 'node_modules/axe-core/axe.min.js'), 'utf8');
export let server: Served;
let browser: Browser;
export let context: BrowserContext;
export let page: Page;
export const problems: string[] = [];

export async function open(search = '', options: Parameters<Browser['newContext']>[0] = {}): Promise<Page> {
  await context?.close();
  context = await browser.newContext({
    viewport: { width: 1200, height: 900 },
    permissions: ['camera'],
    ...options,
  });
  page = await context.newPage();
  page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
  page.on('pageerror', (error) => problems.push(String(error)));
  await page.goto(`${server.origin}/${search}`);
  return page;
}

/** Plain codes: not as good as the default, and found sooner. */
export const quick = '?method=fgq';

export async function quantized(): Promise<void> {
  await page.click('#quantize');
  await page.waitForSelector('#download:not([hidden])', { timeout: 60_000 });
}

/** Drops or pastes files. */
export async function give(
  how: 'drop' | 'paste',
  target: string,
  files: { path: string; name: string }[],
): Promise<void> {
  const contents = files.map(({ path, name }) => ({ name, base64: readFileSync(path, 'base64') }));
  await page.evaluate(
    async ({ contents: list, how: kind, target: place }) => {
      const transfer = new DataTransfer();
      for (const { name, base64 } of list) {
        const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
        const type = name.endsWith('.png') ? 'image/png' : '';
        transfer.items.add(new File([bytes], name, { type }));
      }
      const event =
        kind === 'drop'
          ? new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true })
          : new ClipboardEvent('paste', { clipboardData: transfer, bubbles: true });
      document.querySelector(place)!.dispatchEvent(event);
    },
    { contents, how, target },
  );
}

/** What axe finds wrong. */
export async function violations(): Promise<string[]> {
  await page.evaluate(axe);
  const found = (await page.evaluate('axe.run()')) as {
    violations: { id: string; nodes: { target: string[]; failureSummary: string }[] }[];
  };
  return found.violations.map(
    ({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target).join(' ')} ${nodes[0]!.failureSummary}`,
  );
}

/** Waits until all images of a set have been classified. */
export async function classified(): Promise<void> {
  await page.waitForSelector('#outcome:not([hidden]) #totals:not([hidden])', { timeout: 60_000 });
}

/** Serves the page and starts a browser for the tests of the file that calls it. */
export function startBrowser(): void {
  beforeAll(async () => {
    if (!existsSync(join(dist, 'index.html'))) throw new Error('web/dist is missing: run `make page` first');
    mkdirSync(screenshots, { recursive: true });
    server = await serve({
      '/': `${dist}/`,
      '/models/': join(root, 'models') + '/',
      '/golden/': join(root, 'tests/golden') + '/',
    });
    browser = await launchChromium(['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream']);
  }, 60_000);

  afterAll(async () => {
    await browser?.close();
    await server?.close();
  });
}
