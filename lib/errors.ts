/** What went wrong, as a stable string for programs. */
export type ErrorCode =
  | 'ERR_SHAPE'
  | 'ERR_DTYPE'
  | 'ERR_VALUE'
  | 'ERR_DEVICE'
  | 'ERR_OUT_OF_MEMORY'
  | 'ERR_CHECKPOINT'
  | 'ERR_DEPENDENCY';

/**
 * Base class of every error this library throws on purpose. `code` is stable; `argument` names the argument (or the
 * file, for a checkpoint) that was refused, when there is one; the message says what was expected and what came.
 */
export class CfgDistillError extends Error {
  readonly code: ErrorCode;
  readonly argument: string | undefined;

  constructor(code: ErrorCode, message: string, argument?: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
    this.argument = argument;
  }
}

/** A dimension or a length does not fit. */
export class ShapeError extends CfgDistillError {
  constructor(message: string, argument?: string, options?: ErrorOptions) {
    super('ERR_SHAPE', message, argument, options);
  }
}

/** An element type does not fit. */
export class DTypeError extends CfgDistillError {
  constructor(message: string, argument?: string, options?: ErrorOptions) {
    super('ERR_DTYPE', message, argument, options);
  }
}

/** A value is outside its domain (also NaN where a number is needed, or a token outside the vocabulary). */
export class ValueError extends CfgDistillError {
  constructor(message: string, argument?: string, options?: ErrorOptions) {
    super('ERR_VALUE', message, argument, options);
  }
}

/** A device is absent, or cannot do what is asked. */
export class DeviceError extends CfgDistillError {
  constructor(message: string, argument?: string, options?: ErrorOptions) {
    super('ERR_DEVICE', message, argument, options);
  }
}

/** Memory ran out; the message names the size that was asked for. */
export class OutOfMemoryError extends CfgDistillError {
  constructor(message: string, argument?: string, options?: ErrorOptions) {
    super('ERR_OUT_OF_MEMORY', message, argument, options);
  }
}

/** A checkpoint or data file is missing, damaged, or of another kind than expected. */
export class CheckpointError extends CfgDistillError {
  constructor(message: string, argument?: string, options?: ErrorOptions) {
    super('ERR_CHECKPOINT', message, argument, options);
  }
}

/** A package that is optional, and needed for what is asked, is missing or cannot be loaded. */
export class DependencyError extends CfgDistillError {
  constructor(message: string, argument?: string, options?: ErrorOptions) {
    super('ERR_DEPENDENCY', message, argument, options);
  }
}
