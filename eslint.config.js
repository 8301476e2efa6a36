/**
 * Boundaries and bugs; layout is the formatter's. Run through Nx (`nx run-many -t lint`): the boundary rule needs the
 * project graph and stays silent without it. `tools/check-boundaries.mjs` plants violations and sees them refused.
 */
import nx from '@nx/eslint-plugin'
import * as jsonc from 'jsonc-eslint-parser'
import tseslint from 'typescript-eslint'

const model = ['layer:model']
const contract = [...model, 'layer:contract']
const infra = [...contract, 'layer:infra']

/** app → infra → contract → model. Only tests may reach for the testkit, which itself needs nothing above contract. */
const boundaries = (...inTests) => [
  'error',
  {
    banTransitiveDependencies: true,
    depConstraints: [
      { sourceTag: 'layer:model', onlyDependOnLibsWithTags: [...model, ...inTests] },
      { sourceTag: 'layer:contract', onlyDependOnLibsWithTags: [...contract, ...inTests] },
      { sourceTag: 'layer:testkit', onlyDependOnLibsWithTags: contract },
      { sourceTag: 'layer:infra', onlyDependOnLibsWithTags: [...infra, ...inTests] },
      {
        sourceTag: 'layer:app',
        onlyDependOnLibsWithTags: [...infra, ...inTests],
        bannedExternalImports: ['@nats-io/*', 'smtp-server'],
      },
      { sourceTag: 'layer:scenarios', onlyDependOnLibsWithTags: [...infra, 'layer:testkit'] },
      // The start tool composes the apps; nothing imports a tool.
      { sourceTag: 'layer:tool', onlyDependOnLibsWithTags: [...infra, 'layer:app', 'layer:testkit'] },
    ],
  },
]

export default [
  { ignores: ['**/node_modules', '**/.cache', '**/.nx'] },
  {
    files: ['**/*.ts'],
    languageOptions: { parser: tseslint.parser, parserOptions: { projectService: true } },
    plugins: { '@nx': nx, '@typescript-eslint': tseslint.plugin },
    rules: {
      '@nx/enforce-module-boundaries': boundaries(),
      // A promise nobody waits for is mail nobody waits for.
      '@typescript-eslint/no-floating-promises': ['error', { ignoreVoid: true }],
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      'no-constant-condition': ['error', { checkLoops: false }],
      'no-fallthrough': 'error',
      'no-unsafe-finally': 'error',
      'require-atomic-updates': 'off',
      eqeqeq: 'error',
    },
  },
  {
    files: ['**/*.test.ts', '**/*.contract.ts', '**/test/**/*.ts'],
    rules: {
      '@nx/enforce-module-boundaries': boundaries('layer:testkit'),
      // node:test returns promises of its own that nobody needs to await at top level.
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafeCalls: [
            { from: 'package', name: ['test', 'suite', 'describe', 'it'], package: 'node:test' },
          ],
        },
      ],
    },
  },
  {
    // Decisions know nothing of how they were asked.
    files: ['apps/*/src/*/**/*.ts'],
    ignores: ['apps/*/src/{handlers,adapters,commands,states,cli,scenarios}/**', '**/*.test.ts', '**/*.contract.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            { group: ['**/handlers/*', '**/adapters/*'], message: 'A decision takes its ports as arguments.' },
            {
              group: ['@postbus/service', 'pino', 'node:net', 'node:http'],
              message: 'A decision knows no process, log or socket.',
            },
          ],
        },
      ],
    },
  },
  {
    files: ['{apps,libs}/*/package.json'],
    // Scenarios are all test: everything they need is a development dependency.
    ignores: ['apps/platform-e2e/package.json'],
    languageOptions: { parser: jsonc },
    plugins: { '@nx': nx },
    rules: {
      '@nx/dependency-checks': [
        'error',
        {
          buildTargets: ['typecheck'],
          checkVersionMismatches: false,
          ignoredFiles: ['{projectRoot}/**/*.test.ts', '{projectRoot}/**/*.contract.ts', '{projectRoot}/test/**'],
        },
      ],
    },
  },
]
