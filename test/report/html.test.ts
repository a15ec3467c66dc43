import { expect } from 'chai'
import { html, jsonForScript } from '../../src/report/html.js'
import { HOSTILE, QUOTES } from './hostile.js'

describe('HTML from templates', () => {
  it('escapes every value for text and for attributes', () => {
    expect(html`<p title="${QUOTES}">${HOSTILE}</p>`.text).to.equal(
      '<p title="&quot;]&#39;];alert(1)//\\&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;[a].b{{c}}&amp;lt;">&lt;img src=x onerror=alert(1)&gt;</p>',
    )
  })

  it('takes HTML as it is, joins lists, and leaves out what is undefined', () => {
    expect(html`${[html`<b>${1}</b>`, '<', undefined]}`.text).to.equal('<b>1</b>&lt;')
  })

  it('shows characters that HTML forbids or that turn the direction of text', () => {
    expect(html`${'a\0b\x1b[2J\u202egnp.exe'}`.text).to.equal('a\ufffdb\ufffd[2J\ufffdgnp.exe')
  })

  it('writes JSON that can not end its script element, and reads back the same', () => {
    const text = jsonForScript({ name: QUOTES, other: '<!--<script>' }).text
    expect(text).not.to.include('<')
    expect(JSON.parse(text)).to.deep.equal({ name: QUOTES, other: '<!--<script>' })
  })
})
