// Seats in Node processes.
import { execFileSync, fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export class NodeEngine {
  #path;

  constructor(path) {
    this.#path = path;
    const versions = 'console.log(`Node ${process.versions.node}, V8 ${process.versions.v8}`)';
    this.name = execFileSync(path, ['-e', versions], { encoding: 'utf8' }).trim();
  }

  async seat() {
    const child = fork(join(import.meta.dirname, 'node-child.mjs'), {
      execPath: this.#path,
      execArgv: [],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    let settle;
    child.on('message', (reply) => settle.resolve(reply));
    child.on('exit', (code, signal) =>
      settle?.reject(new Error(`the process ended with ${signal ?? `code ${code}`}`)),
    );
    return {
      async call(method, ...given) {
        const answer = new Promise((resolve, reject) => (settle = { resolve, reject }));
        child.send({ method, given });
        const reply = await answer;
        if (reply.error) throw Object.assign(new Error(reply.error.message), { code: reply.error.code });
        return reply.value;
      },
      /** Milliseconds that the main thread has had a processor, where the system tells. */
      async processorTime() {
        try {
          const [nanoseconds] = readFileSync(`/proc/${child.pid}/task/${child.pid}/schedstat`, 'utf8').split(
            ' ',
          );
          return Number(nanoseconds) / 1e6;
        } catch {
          return undefined;
        }
      },
      async close() {
        const gone = new Promise((done) => child.once('exit', done));
        child.kill('SIGKILL');
        await gone;
      },
    };
  }

  async close() {}
}
