// The bundled road-sign model and photographs, as URLs that Vite serves and copies into the build.
import labelsText from '../../models/signs/labels.txt?raw';
import onnxUrl from '../../models/signs/signs.onnx?url';
import preprocess from '../../models/signs/preprocess.json';

const calibrationUrls = import.meta.glob<string>('../../models/signs/calibration/*.png', {
  query: '?url',
  import: 'default',
  eager: true,
});
// Two photographs a class are enough for a page; `trefoil evaluate` scores all of them. Of these the float network gets as many
// right as of all (39 of 40; 391 of 400).
const testUrls = import.meta.glob<string>('../../models/signs/test/*/0[35].png', {
  query: '?url',
  import: 'default',
  eager: true,
});

export interface LabelledImage {
  url: string;
  label?: string;
}

export const signs = {
  onnxUrl,
  preprocess,
  labels: labelsText.trim().split(/\r?\n/),
  calibration: Object.keys(calibrationUrls)
    .sort()
    .map((key) => calibrationUrls[key]!),
  test: Object.keys(testUrls)
    .sort()
    .map((key): LabelledImage => ({ url: testUrls[key]!, label: key.split('/').at(-2)! })),
};
