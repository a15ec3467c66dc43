import { rewritten, rule } from '../rule.js'
import type { Treatments } from '../rule.js'
import { fourierCotangent } from './fourier.js'
import { shortTimeFourier } from './short-time-fourier.js'

/** Fourier transforms. */
export const SIGNAL: Treatments = {
  DFT: rule((c) => [fourierCotangent(c)]),
  STFT: rewritten((c) => [shortTimeFourier(c)]),
}
