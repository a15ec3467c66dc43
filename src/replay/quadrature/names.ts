export const QUADRATURES = [
  'simpson',
  'first-order',
  'trapezoid',
  'midpoint',
  'boole',
  'gauss-kronrod',
  'auto',
] as const
export type QuadratureName = (typeof QUADRATURES)[number]
