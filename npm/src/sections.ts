// How much of a .trefoil file holds the network of its first planes (src/format/sections.h).

export const sectionHeaderBytes = 16;

export interface Sections {
  first: number;
  whole: number;
}

/** Of the start of a file; undefined where there are none: then the module, given all of it, says what is wrong. */
export function sectionsOf(start: Uint8Array): Sections | undefined {
  if (start.length < sectionHeaderBytes) return undefined;
  const view = new DataView(start.buffer, start.byteOffset, sectionHeaderBytes);
  if (view.getUint32(4) !== 0x54524546) return undefined; // "TREF"
  const sections = { first: view.getUint32(8, true), whole: view.getUint32(12, true) };
  const { first, whole } = sections;
  return first > sectionHeaderBytes && first % 8 === 0 && first <= whole ? sections : undefined;
}
