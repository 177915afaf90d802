import { CheckpointError } from '../../errors.ts';

const ENDINGS = /\.(bin|pt|pth|ckpt|pkl|pickle)(\.index\.json)?$/i;

/** Whether a path looks like that of a PyTorch file. */
export function isPickleName(path: string): boolean {
  return ENDINGS.test(path);
}

/** Whether a file begins as torch.save begins it: with a zip archive, or a bare pickle of protocol 2 to 5. */
export function isPickle(first: Uint8Array): boolean {
  // As the length of a safetensors header, which has zeros from the fifth byte on, both would be over the cap.
  if (!first.subarray(4, 8).some((byte) => byte !== 0)) return false;
  const [a, b, c, d] = first as unknown as [number, number, number, number];
  return (a === 0x50 && b === 0x4b && c === 0x03 && d === 0x04) || (a === 0x80 && b >= 2 && b <= 5);
}

/** The error for a PyTorch file: loading one runs whatever program it holds, so that this library never does. */
export function pickleError(path: string, cause?: unknown): CheckpointError {
  return new CheckpointError(
    `${path}: expected safetensors, got a PyTorch file (pickle), which can run any code when it is loaded; convert it ` +
      'to safetensors first, where you trust it (safetensors.torch.save_file in Python)',
    path,
    { cause },
  );
}
