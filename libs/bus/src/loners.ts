/**
 * Lets one event be handled while no other of the same consumer is, and no other suspect of the whole process: a process that dies
 * then was killed by it, or from outside.
 */
import { semaphore } from './semaphore.ts'

const oneInTheProcess = semaphore(1)

export class Loners {
  #waiting = 0
  #running = 0
  #quiet: (() => void)[] = []
  #over: (() => void)[] = []

  /** While somebody waits to be alone nothing new should be begun. */
  get anyWaiting(): boolean {
    return this.#waiting > 0
  }

  async alone<T>(work: () => Promise<T>): Promise<T> {
    this.#waiting++
    try {
      return await oneInTheProcess.run(async () => {
        while (this.#running > 0) await new Promise<void>((resolve) => this.#quiet.push(resolve))
        return work()
      })
    } finally {
      if (--this.#waiting === 0) for (const resolve of this.#over.splice(0)) resolve()
    }
  }

  async together<T>(work: () => Promise<T>): Promise<T> {
    while (this.#waiting > 0) await new Promise<void>((resolve) => this.#over.push(resolve))
    this.#running++
    try {
      return await work()
    } finally {
      if (--this.#running === 0) for (const resolve of this.#quiet.splice(0)) resolve()
    }
  }
}
