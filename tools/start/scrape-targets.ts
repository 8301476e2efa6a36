/** Where Prometheus finds the metrics of every instance: a file for its `file_sd_configs`. */
import { LOOPBACK, type Instance } from './plan.ts'

/** The `job` is the service's name, which the rules and dashboards count on; the `instance` is the copy's. */
export function scrapeTargets(instances: readonly Pick<Instance, 'service' | 'name' | 'healthPort'>[]): string {
  const groups = instances.map(({ service, name, healthPort }) => ({
    targets: [`${LOOPBACK}:${healthPort}`],
    labels: { job: service, instance: name },
  }))
  return `${JSON.stringify(groups, null, 2)}\n`
}
