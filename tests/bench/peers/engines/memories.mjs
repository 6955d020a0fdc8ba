// Notes every WebAssembly memory that is made or exported from here on, whoever makes it. Import it first.
const memories = new Set();
const { Memory, instantiate, instantiateStreaming } = WebAssembly;

function note(instance) {
  for (const item of Object.values(instance.exports)) if (item instanceof Memory) memories.add(item);
}

WebAssembly.Memory = new Proxy(Memory, {
  construct(target, given) {
    const memory = new target(...given);
    memories.add(memory);
    return memory;
  },
});
WebAssembly.instantiate = async (...given) => {
  const result = await instantiate.apply(WebAssembly, given);
  note(result.instance ?? result);
  return result;
};
if (instantiateStreaming) {
  WebAssembly.instantiateStreaming = async (...given) => {
    const result = await instantiateStreaming.apply(WebAssembly, given);
    note(result.instance);
    return result;
  };
}
WebAssembly.Instance = new Proxy(WebAssembly.Instance, {
  construct(target, given) {
    const instance = new target(...given);
    note(instance);
    return instance;
  },
});

/** Bytes of all of them: memory never shrinks, so this is the most that was needed so far. */
export const memoryBytes = () => [...memories].reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
