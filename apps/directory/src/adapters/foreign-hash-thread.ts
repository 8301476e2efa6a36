/** One password against one foreign hash; see foreign-hashes.ts. */
import { parentPort, workerData } from 'node:worker_threads'

import { z } from 'zod'

import { foreignVerifier } from '../accounts/foreign-hash.ts'

const { password, stored } = z.object({ password: z.string(), stored: z.string() }).parse(workerData)
parentPort?.postMessage((await foreignVerifier(stored)?.(password)) === true)
