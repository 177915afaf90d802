// The operations on tensors, called at the binding, also while a program is recorded; and the tensors' own methods.
import { join } from 'node:path';
import { Bytes } from '../bytes.mjs';
import { ARGUMENTS } from '../tensor-arguments.mjs';
import { fillFloats, fillInts, list, number, SENTINEL, word } from '../values.mjs';

// Exports that are no operations: state of the process, devices, measurements, and what this target calls by itself.
const NOT_OPERATIONS =
  /Now$|^cuda|^(NativeTensor|setErrorClasses|isa|threads|createTensor|deviceName|synchronize|memory|setMemoryLimit|trimMemory|setOption|startTimer|stopTimer|profile|multiplyAdds|mathAccuracy|beginProgram|endProgram|replayProgram|disposeProgram|fuzz|answer|coverageCounters)$/;
const LIMIT = 4 << 20;
const HUGE = [2 ** 20, 2 ** 31, 2 ** 31 - 1, 2 ** 32, 2 ** 39, 2 ** 40, 2 ** 40 + 1, 2 ** 53, -1, 0.5];

/** The tensors of one input. */
class Tensors {
  made = [];

  constructor(addon, input, store) {
    this.addon = addon;
    this.input = input;
    this.store = store;
  }

  pick(choices) {
    return this.input.pick(choices);
  }

  list(items) {
    return list(this.input, items, () => this.disposeAll());
  }

  shape() {
    return Array.from({ length: this.input.integer(0, 3) }, () => this.pick([1, 2, 3, 5, 8, 17, 0, 33]));
  }

  /** A tensor with a content, int32 of [low, high]; rarely something else. */
  tensor(dtype, shape, [low, high] = [0, 0]) {
    const choice = this.input.byte();
    if (choice < 224) return this.create(dtype, shape, low, high, choice >= 192);
    switch (choice % 10) {
      case 0:
      case 1:
        return this.made.length > 0 ? this.pick(this.made) : null;
      case 2:
        return this.create(this.pick(['float32', 'bfloat16', 'float16', 'int32']), shape, low, high);
      case 3:
        return this.create(dtype, this.reshaped(shape), low, high);
      case 4: {
        const tensor = this.create(dtype, shape, low, high);
        tensor.dispose();
        return tensor;
      }
      case 5: {
        const tensor = this.create(dtype, shape, low, high);
        return this.keep(tensor.view(this.reshaped(shape), number(this.input, 0)));
      }
      case 6:
        return this.pick([undefined, null, 1, {}, [], new Float32Array(4), 'tensor', new this.addon.NativeTensor()]);
      case 7:
        return Object.create(this.create(dtype, shape, low, high));
      case 8: // of a wrong content, that only the queue finds out
        return this.poisoned(dtype, shape);
      default:
        return new Proxy(this.create(dtype, shape, low, high), {});
    }
  }

  reshaped(shape) {
    const other = [...shape];
    const at = this.input.integer(0, Math.max(0, shape.length - 1));
    switch (this.input.integer(0, 6)) {
      case 0:
        other[at] = (other[at] ?? 0) + 1;
        break;
      case 1:
        other[at] = Math.max(0, (other[at] ?? 1) - 1);
        break;
      case 2:
        other[at] = 0;
        break;
      case 3:
        other.push(this.pick([1, 2, 0]));
        break;
      case 4:
        other.pop();
        break;
      case 5:
        other.reverse();
        break;
      default: // many elements, or none of a large shape
        other[at] = this.pick(HUGE);
        if (this.input.bit()) other[(at + 1) % Math.max(1, other.length)] = this.pick([0, ...HUGE]);
    }
    return other;
  }

  create(dtype, shape, low = 0, high = 0, inside = false) {
    const elements = shape.reduce((product, size) => product * size, 1);
    if (!(Number.isInteger(elements) && elements >= 0 && elements <= LIMIT / 4))
      return this.keep(this.addon.createTensor('cpu', dtype, shape));
    const extra = inside ? this.input.integer(0, 9) : 0;
    const after = inside ? this.input.integer(0, 9) : 0;
    const Type = dtype === 'float32' ? Float32Array : dtype === 'int32' ? Int32Array : Uint16Array;
    const data = new Type(extra + elements + after);
    if (dtype === 'int32') fillInts(this.input, data, low, Math.max(low, high));
    else fillFloats(this.input, data, this.store[dtype]);
    if (!inside) return this.keep(this.addon.createTensor('cpu', dtype, shape, data));
    const whole = this.keep(this.addon.createTensor('cpu', dtype, [data.length], data));
    return this.keep(whole.view(shape, extra));
  }

  poisoned(dtype, shape) {
    const table = this.create('float32', [1, 1]);
    const ids = this.create('int32', [2], 5, 5);
    const bad = this.keep(this.addon.embeddingForward(table, ids));
    const target = this.create(dtype, shape);
    if (dtype === 'float32' && shape.length === 1 && shape[0] === 2) return bad;
    return this.pick([bad, target]);
  }

  keep(tensor) {
    this.made.push(tensor);
    return tensor;
  }

  keepAll(result) {
    for (const value of Array.isArray(result) ? result : [result]) {
      if (value instanceof this.addon.NativeTensor) this.keep(value);
    }
  }

  disposeAll() {
    for (const tensor of this.made) tensor.dispose();
  }
}

export async function makeTarget({ addon, errors, folder }) {
  const names = Object.keys(addon).filter((name) => !NOT_OPERATIONS.test(name));
  const forgotten = names.filter((name) => !ARGUMENTS[name]);
  if (forgotten.length > 0) throw new Error(`operations that are not fuzzed: ${forgotten.join(', ')}`);
  const { float32ToBf16, float32ToF16 } = await import(join(folder, 'lib/models/safetensors/floats.js'));
  const store = { float32: (value) => value, bfloat16: float32ToBf16, float16: float32ToF16 };
  addon.setMemoryLimit('cpu', LIMIT);

  const refused = (error) =>
    error === SENTINEL || (error instanceof errors.CfgDistillError && error.message.length < 2000);
  /** Waits for what may fail in the library's own ways. */
  async function settled(promise) {
    try {
      return await promise;
    } catch (error) {
      if (!refused(error)) throw error;
      return null;
    }
  }

  function operate(tensors) {
    const { input } = tensors;
    const name = input.pick(names);
    const values = ARGUMENTS[name](tensors);
    if (input.rarely()) values.length = input.integer(0, values.length);
    tensors.keepAll(addon[name](...values));
  }

  /** Operations recorded once and run twice. */
  function record(tensors) {
    addon.beginProgram();
    let program;
    try {
      for (let i = tensors.input.integer(1, 3); i > 0; i--) operate(tensors);
    } finally {
      program = addon.endProgram();
      if (tensors.input.rarely(4)) tensors.disposeAll();
      addon.replayProgram(program);
      addon.replayProgram(program);
      addon.disposeProgram(program);
    }
    if (tensors.input.rarely(4)) addon.replayProgram(program);
  }

  async function methods(tensors) {
    const { input } = tensors;
    const tensor = tensors.create(input.pick(['float32', 'bfloat16', 'float16', 'int32']), tensors.shape());
    const receiver = input.rarely(8) ? tensors.pick([{}, null, addon, addon.NativeTensor.prototype]) : tensor;
    const name = input.pick(['view', 'write', 'shape', 'dtype', 'device', 'disposed', 'read', 'dispose']);
    const data = tensors.pick([new Float32Array(1), new Int32Array(2), new Uint16Array(3), null, undefined]);
    const values = name === 'view' ? [tensors.list(tensors.reshaped([2, 3])), number(input, 0)] : [data];
    let result;
    try {
      result = addon.NativeTensor.prototype[name].apply(receiver, values);
    } catch (error) {
      // V8 itself refuses what is no tensor at all.
      if (!(receiver !== tensor && error instanceof TypeError)) throw error;
    }
    tensors.keepAll(result);
    await settled(result);
    tensors.keepAll(
      addon.createTensor(
        word(input, ['cpu']),
        word(input, ['float32', 'int32', 'bfloat16']),
        tensors.list(tensors.reshaped([2, 3])),
        input.bit() ? data : undefined,
      ),
    );
  }

  async function run(tensors) {
    const kind = tensors.input.integer(0, 15);
    if (kind === 15) await methods(tensors);
    else if (kind === 14) record(tensors);
    else for (let i = kind < 10 ? 1 : 3; i > 0; i--) operate(tensors);
    for (const tensor of tensors.made.slice(-2)) {
      if (tensor.disposed()) continue;
      const content = await settled(tensor.read());
      const elements = tensor.shape().reduce((product, size) => product * size, 1);
      if (content !== null && content.length !== elements) throw new Error('read() gave another number of elements');
    }
  }

  return {
    refused,
    async run(bytes) {
      const tensors = new Tensors(addon, new Bytes(bytes), store);
      const outcome = await Promise.allSettled([run(tensors)]);
      tensors.disposeAll();
      await settled(addon.synchronize('cpu'));
      // Nothing stays in the cache, where a use after the end would go unseen.
      await addon.trimMemory('cpu');
      const { reserved } = addon.memory('cpu', false);
      if (reserved !== 0) throw new Error(`${reserved} bytes are still held`);
      if (outcome[0].status === 'rejected') throw outcome[0].reason;
    },
  };
}
