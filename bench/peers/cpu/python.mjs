// A Python script that is told over its standard input what to do: a JSON object a line, each answered by one.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export class Python {
  #child;
  #waiting = [];
  #errors = '';

  /**
   * @param {URL} script
   * @param {Record<string, string>} [environment] added to ours
   */
  constructor(script, environment) {
    this.#child = spawn(process.env.PYTHON ?? 'python3', [fileURLToPath(script)], {
      env: { ...process.env, ...environment },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    createInterface({ input: this.#child.stdout }).on('line', (line) =>
      this.#waiting.shift()?.resolve(JSON.parse(line)),
    );
    this.#child.stderr.on('data', (text) => {
      this.#errors = (this.#errors + text).slice(-2000);
    });
    this.#child.stdin.on('error', () => {}); // told by `close`
    const ended = (reason) => {
      const last = this.#errors.trim().split('\n').at(-1);
      for (const { reject } of this.#waiting.splice(0)) reject(new Error(last || reason));
    };
    this.#child.on('error', (error) => ended(error.message));
    this.#child.on('close', (code) => ended(`python3 ended with ${code}`));
  }

  ask(command) {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#child.stdin.write(`${JSON.stringify(command)}\n`);
    });
  }

  close() {
    this.#child.stdin.end();
  }
}
