// Small helpers around the page's elements.

export function element<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no element "${id}"`);
  return found as T;
}

export function show(id: string, visible: boolean): void {
  element(id).hidden = !visible;
}

export function showError(id: string, error: unknown): void {
  const code = error instanceof Error && 'code' in error ? `${String(error.code)}: ` : '';
  element(id).textContent = code + (error instanceof Error ? error.message : String(error));
  show(id, true);
}

export function formatBytes(bytes: number): string {
  return bytes >= 1e6 ? `${(bytes / 1e6).toFixed(2)} MB` : `${(bytes / 1e3).toFixed(0)} KB`;
}

export function formatCount(count: number): string {
  if (count >= 1e9) return `${(count / 1e9).toPrecision(3)}G`;
  if (count >= 1e6) return `${(count / 1e6).toPrecision(3)}M`;
  return count >= 1e3 ? `${(count / 1e3).toPrecision(3)}k` : count.toFixed(0);
}

export function formatMilliseconds(ms: number): string {
  return ms >= 100 ? `${ms.toFixed(0)} ms` : ms >= 10 ? `${ms.toFixed(1)} ms` : `${ms.toFixed(2)} ms`;
}

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Makes an element take dropped files, and say so while they hover over it. Elements inside it come first. */
export function onDrop(target: HTMLElement, take: (files: File[]) => void): void {
  target.addEventListener('dragover', (event) => {
    event.preventDefault();
    target.classList.add('over');
  });
  target.addEventListener('dragleave', () => target.classList.remove('over'));
  target.addEventListener('drop', (event) => {
    event.preventDefault();
    event.stopPropagation();
    target.classList.remove('over');
    take([...(event.dataTransfer?.files ?? [])]);
  });
}

/** Files that a file input has. */
export function filesOf(id: string): File[] {
  return [...(element<HTMLInputElement>(id).files ?? [])];
}

/** Hands over what is chosen in a file input, each time; without being emptied it would tell nothing of the same files again. */
export function onFiles(id: string, take: (files: File[]) => void): void {
  const input = element<HTMLInputElement>(id);
  input.addEventListener('click', () => (input.value = ''));
  input.addEventListener('change', () => take(filesOf(id)));
}
