import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { renderTable } from '../../src/cli/table.ts'

describe('a table', () => {
  it('that is wider than the terminal has a line for each value', () => {
    const head = ['node', 'ro\u001ble']
    const rows = [
      ['ann', 'leader'],
      ['bea', 'vo\nter'],
    ]
    const [border = ''] = renderTable(head, rows).split('\n')
    assert.ok(renderTable(head, rows, border.length).startsWith(border))
    assert.equal(
      renderTable(head, rows, border.length - 1),
      'node: ann\nro\\u001ble: leader\n\nnode: bea\nro\\u001ble: vo\\nter',
    )
    assert.match(renderTable(head, [], 5), /│ node │/)
  })
})
