/** node tools/k8s/main.ts — renders every overlay, checks it, and prints a table of its objects. Part of npm run check. */
import { checkManifests } from './check.ts'

process.exitCode = (await checkManifests()) ? 0 : 1
