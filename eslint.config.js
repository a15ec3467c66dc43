import tseslint from 'typescript-eslint'

/** The folders that a folder of src/ may import from, besides itself and the shared files at src/'s top: imports go one way. */
const MAY_IMPORT = {
  io: [],
  onnx: ['io'],
  autodiff: ['onnx'],
  trajectory: ['io', 'onnx'],
  data: ['io'],
  tables: ['io'],
  engines: ['autodiff', 'onnx'],
  replay: ['engines', 'trajectory', 'data', 'autodiff', 'onnx', 'tables', 'io'],
  batch: ['replay', 'engines', 'trajectory', 'data', 'autodiff', 'onnx', 'tables', 'io'],
  verify: ['replay', 'engines', 'data', 'autodiff', 'onnx', 'tables', 'io'],
  analysis: ['tables'],
  report: ['analysis'],
  cli: [
    'batch',
    'verify',
    'replay',
    'engines',
    'trajectory',
    'data',
    'autodiff',
    'onnx',
    'tables',
    'analysis',
    'report',
    'io',
  ],
}

const direction = Object.entries(MAY_IMPORT).map(([folder, allowed]) => ({
  files: [`src/${folder}/**/*.ts`],
  rules: {
    'no-restricted-imports': [
      'error',
      {
        patterns: Object.keys(MAY_IMPORT)
          .filter((other) => other !== folder && !allowed.includes(other))
          .map((other) => ({
            regex: `^(\\.\\./)+${other}/`,
            message: `src/${folder} may not import from src/${other} (docs/architecture.md, direction of imports)`,
          })),
      },
    ],
  },
}))

export default tseslint.config(
  { ignores: ['dist', '.venv', 'fixtures', 'src/onnx/proto'] },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        project: ['./tsconfig.json', './tsconfig.browser.json'],
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: true }],
      '@typescript-eslint/prefer-readonly': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      eqeqeq: 'error',
      'no-console': 'error',
      'no-restricted-syntax': [
        'error',
        {
          selector: "ImportDeclaration[source.value='zod'] > ImportSpecifier",
          message: 'import * as z: what is not used of the object z stays in the bundle, half a megabyte',
        },
        {
          selector: "ImportDeclaration[source.value='onnxruntime-node']",
          message: 'import from src/engines/runtime.ts, which keeps ONNX Runtime from reporting sessions',
        },
      ],
    },
  },
  { files: ['test/**/*.ts'], rules: { '@typescript-eslint/no-unused-expressions': 'off' } },
  { files: ['scripts/**/*.ts'], rules: { 'no-console': 'off' } },
  { files: ['**/*.js', '**/*.mjs'], ...tseslint.configs.disableTypeChecked },
  ...direction,
)
