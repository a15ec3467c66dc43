import { expect } from 'chai'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { retrograd, runArguments } from './command.js'

describe('what a run leaves behind', () => {
  it('is its results alone: ONNX Runtime prepares no report of its sessions, and no temporary file stays', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'retrograd-quiet-'))
    try {
      const args = runArguments({ out: join(folder, 'results') })
      // ONNX Runtime is silent by itself where tests run
      const env = { TMPDIR: folder, CI: undefined, ORT_DISABLE_TELEMETRY: undefined }
      const { status, stderr } = await retrograd(args, { env })
      expect(status, stderr).to.equal(0)
      expect(readdirSync(folder)).to.deep.equal(['results'])
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
