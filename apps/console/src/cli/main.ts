/**
 * NAME
 *   postbus — manage a running platform
 * EXIT STATUS
 *   0 done; 1 refused, with the reason; 2 called wrongly; 69 nobody answers; 70 a fault of the command's own
 */
import { postbus } from './postbus.ts'

process.exitCode = await postbus(process.argv.slice(2), process)
