import { dirname } from 'node:path';
import { CheckpointError } from '../errors.ts';

/** Whether the operating system refused something. */
export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error && 'code' in error;
}

/** The CheckpointError that names the file and says in words what the system answered. */
export function systemFailure(path: string, verb: 'read' | 'written', error: NodeJS.ErrnoException): CheckpointError {
  return new CheckpointError(`${path}: cannot be ${verb}: ${reason(path, verb, error)}`, path, { cause: error });
}

function reason(path: string, verb: 'read' | 'written', error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'ENOENT':
      return verb === 'read' ? 'there is no such file' : `the folder ${dirname(path)} does not exist`;
    case 'EISDIR':
      return 'it is a folder, expected a file';
    case 'ENOTDIR':
      return 'a part of its path is a file, expected a folder';
    case 'EACCES':
    case 'EPERM':
      return 'permission denied';
    case 'ENOSPC':
      return 'the disk is full';
    default:
      return error.message;
  }
}
