import { alwaysRewritten } from '../rule.js'
import type { Treatments } from '../rule.js'
import { GRU, RNN } from './gru.js'
import { LSTM } from './lstm.js'
import { recurrentLayer } from './recurrent-layer.js'

/** LSTM, GRU and RNN: Scans over the steps (7, 14, 22). */
export const RECURRENT: Treatments = {
  LSTM: alwaysRewritten(recurrentLayer(LSTM)),
  GRU: alwaysRewritten(recurrentLayer(GRU)),
  RNN: alwaysRewritten(recurrentLayer(RNN)),
}
