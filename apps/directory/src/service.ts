/** The directory's wiring: storage, logins, tokens, and everything it is asked. */
import type { Stoppable } from '@postbus/bus'
import { defineService, type ServiceContext } from '@postbus/service'
import { databaseOptions, databaseTable } from '@postbus/sql'

import type { VerifyBearer } from './accounts/bearer.ts'
import { boundedHasher, type Hasher } from './accounts/hasher.ts'
import type { LoginTools } from './accounts/log-in.ts'
import { LoginMemory } from './accounts/login-memory.ts'
import { hashPassword } from './accounts/password.ts'
import { keepSigningKeys } from './accounts/signing-keys.ts'
import { Throttle } from './accounts/throttle.ts'
import { Tokens } from './accounts/tokens.ts'
import { verifyForeignHash } from './adapters/foreign-hashes.ts'
import { bearerVerifier } from './adapters/issuer.ts'
import { openStore } from './adapters/storage/sql-store.ts'
import { DirectoryConfig } from './config.ts'
import { answerAdministration } from './handlers/administration.ts'
import { answerOn } from './handlers/answer.ts'
import { answerLogins } from './handlers/logins.ts'
import { answerQuestions } from './handlers/questions.ts'
import { directoryMetrics, directoryTable } from './metrics.ts'
import { sendingCounter } from './sending/spend.ts'

export const directoryService = defineService<DirectoryConfig>({
  name: 'directory',
  config: DirectoryConfig,
  metrics: [directoryTable, databaseTable],
  async start({ config, bus, log, metrics: registry, defer, probe }: ServiceContext<DirectoryConfig>) {
    const store = await openStore(config.DIRECTORY_DATABASE, databaseOptions(config, log, registry))
    defer(() => store.close())
    probe('database', () => store.revision())

    const limited = boundedHasher({
      concurrency: config.DIRECTORY_HASH_CONCURRENCY,
      maxWaiting: config.DIRECTORY_HASH_MAX_WAITING,
    })
    const throttle = throttleOf(config)
    const metrics = directoryMetrics(registry, { hasher: limited, throttle })
    const hasher: Hasher = {
      run: (work) => limited.run(() => metrics.hashed(work)),
      get waiting() {
        return limited.waiting
      },
    }
    const tokens = new Tokens(store, config.DIRECTORY_TOKEN_LIFETIME_MS)
    const keys = await keepSigningKeys(store, tokens, {
      days: config.DIRECTORY_TOKEN_KEY_DAYS,
      failed: (err) => log.error({ err }, 'signing keys not looked at'),
    })
    defer(() => keys.stop())

    const answer = answerOn(bus)
    const answers = await Promise.all([
      ...answerQuestions(answer, {
        store,
        metrics,
        settings: {
          postmaster: config.DIRECTORY_POSTMASTER ?? null,
          addressLiterals: config.DIRECTORY_ADDRESS_LITERALS,
        },
        spend: sendingCounter(
          store,
          { messages: config.DIRECTORY_MESSAGES_PER_HOUR, recipients: config.DIRECTORY_RECIPIENTS_PER_HOUR },
          Date.now,
        ),
      }),
      ...answerLogins(answer, {
        store,
        login: await loginTools(config, throttle, hasher),
        tokens,
        scram: { tokens, secret: await store.secret('scram-salts'), iterations: config.DIRECTORY_SCRAM_ITERATIONS },
        bearer: bearerOf(config),
        metrics,
      }),
      ...answerAdministration(answer, {
        store,
        hasher,
        metrics,
        credentials: {
          parameters: hashParameters(config),
          scramIterations: config.DIRECTORY_SCRAM_ITERATIONS,
          minLength: config.DIRECTORY_PASSWORD_MIN_LENGTH,
        },
        hint: (contract, value) => bus.hint(contract, value),
      }),
    ])
    defer(() => stopAll(answers))
  },
})

const hashParameters = (config: DirectoryConfig) => ({
  memoryKiB: config.DIRECTORY_HASH_MEMORY_KIB,
  passes: config.DIRECTORY_HASH_PASSES,
})

const monotonic = () => performance.now()

function throttleOf(config: DirectoryConfig): Throttle {
  const settings = {
    pairLimit: config.DIRECTORY_FAILURES_PER_PAIR,
    addressLimit: config.DIRECTORY_FAILURES_PER_ADDRESS,
    accountLimit: config.DIRECTORY_FAILURES_PER_ACCOUNT,
    halfLifeMs: config.DIRECTORY_FAILURES_HALF_LIFE_MS,
    strangerIntervalMs: config.DIRECTORY_STRANGER_INTERVAL_MS,
    baseDelayMs: config.DIRECTORY_FAILURE_DELAY_MS,
    maxDelayMs: config.DIRECTORY_FAILURE_MAX_DELAY_MS,
    maxEntries: config.DIRECTORY_FAILURES_ENTRIES,
    maxWaiting: config.DIRECTORY_HASH_MAX_WAITING,
  }
  return new Throttle(settings, monotonic)
}

async function loginTools(config: DirectoryConfig, throttle: Throttle, hasher: Hasher): Promise<LoginTools> {
  const remembered = { forMs: config.DIRECTORY_LOGIN_CACHE_MS, maxEntries: config.DIRECTORY_LOGIN_CACHE_ENTRIES }
  const parameters = hashParameters(config)
  return {
    throttle,
    hasher,
    parameters,
    scramIterations: config.DIRECTORY_SCRAM_ITERATIONS,
    verifyForeignHash,
    memory: new LoginMemory(remembered, monotonic),
    // Any hash will do: nobody is let in by it.
    dummyHash: await hashPassword('nobody has this', parameters),
  }
}

/** Without an issuer no token is any good. */
function bearerOf(config: DirectoryConfig): VerifyBearer {
  const { OAUTH_ISSUER: issuer, OAUTH_JWKS_URL: jwksUrl, OAUTH_AUDIENCE: audience } = config
  if (issuer === undefined) return async () => 'tokenInvalid'
  if (jwksUrl === undefined || audience === undefined) {
    throw new Error('OAUTH_ISSUER needs OAUTH_JWKS_URL and OAUTH_AUDIENCE')
  }
  return bearerVerifier({ issuer, jwksUrl, audience, usernameClaim: config.OAUTH_USERNAME_CLAIM })
}

async function stopAll(answers: readonly Stoppable[]): Promise<void> {
  await Promise.all(answers.map((answer) => answer.stop()))
}
