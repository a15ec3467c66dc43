import { expect } from 'chai'
import { TABLE_NAMES, columnsOf, tablesAt } from '../../src/tables/schema.js'

/** The columns as the design lists them: name and type, one per line. */
const DESIGN: Readonly<Record<string, string>> = {
  steps: `split string, interval int32, step_from int64, step_to int64, loss_from float64, loss_to float64,
    loss_change float64, lca float64, residual float64, rest float64, first_order float64, splits int32, evaluations int32,
    converged bool, parameters int64, helping int64, hurting int64, still int64, update_norm float64,
    gradient_norm float64, cosine float64, cosine_movement float64, lca_se float64, loss_change_se float64, step_unit string`,
  tensors: `split string, interval int32, step_from int64, step_to int64, tensor string, layer string, role string,
    parameters int64, lca float64, lca_helping float64, lca_hurting float64, helping int64, hurting int64,
    still int64, first_order float64, update_norm float64, gradient_norm float64, cosine float64,
    cosine_previous float64, cosine_movement float64, weight_norm float64, lca_se float64`,
  units: `split string, interval int32, step_from int64, step_to int64, tensor string, unit int32, lca float64,
    helping int64, hurting int64, first_order float64`,
  parameters: `split string, interval int32, step_from int64, step_to int64, tensor string, shape list<int32>,
    lca list<float32>`,
  totals: `split string, tensor string, index int32, unit int32, lca float64, helped int32, hurt int32,
    lca_flips int32, movement_flips int32, gradient_flips int32, undone float64, movement float64,
    path_length float64, fisher float64`,
  blocks: `split string, block int32, tensor string, index int32, unit int32, lca float64, helped int32, hurt int32,
    lca_flips int32, movement_flips int32, gradient_flips int32, undone float64, movement float64,
    path_length float64`,
}

describe('the schema of the tables', () => {
  for (const name of TABLE_NAMES) {
    it(`has the columns of ${name}/ that the design lists, in its order`, () => {
      const columns = columnsOf(name).map((column) => `${column.name} ${column.type}`)
      expect(columns).to.deep.equal(DESIGN[name]!.split(/,\s+/))
    })
  }

  it('describes every column in a sentence', () => {
    for (const name of TABLE_NAMES) {
      for (const { description } of columnsOf(name)) expect(description).to.match(/^.{10,}\.$/)
    }
  })

  it('adds tables as the granularity gets finer', () => {
    expect(tablesAt('tensor')).to.deep.equal(['steps', 'tensors', 'totals'])
    expect(tablesAt('unit')).to.deep.equal(['steps', 'tensors', 'units', 'totals'])
    expect(tablesAt('parameter')).to.deep.equal(['steps', 'tensors', 'units', 'parameters', 'totals'])
    expect(tablesAt('tensor', 'part')).to.deep.equal(['steps', 'tensors', 'totals', 'blocks'])
  })
})
