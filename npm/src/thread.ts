// The script of a thread: another instance of a model's module, on the same memory, that works in turn with the first.
// It needs nothing of JavaScript, so this is all there is.
import { onStart, reportReady } from '#platform/thread-port.js';

onStart(async ({ wasm, memory, entry, stack, thread }) => {
  const imports: Record<string, Record<string, WebAssembly.ImportValue>> = {};
  const refuse = () => {
    throw new Error('a thread called JavaScript');
  };
  for (const { module, name, kind } of WebAssembly.Module.imports(wasm)) {
    (imports[module] ??= {})[name] = kind === 'memory' ? memory : refuse;
  }
  const { exports } = await WebAssembly.instantiate(wasm, imports);
  const table = Object.values(exports).find((item) => item instanceof WebAssembly.Table);
  reportReady();
  const serve = table!.get(entry) as (stack: number, thread: number) => void;
  try {
    // Sleeps and works until the worker is terminated.
    serve(stack, thread);
  } catch {
    // Trapped: whoever waits for this thread must hear of it.
    serve(stack, -thread);
  }
});
