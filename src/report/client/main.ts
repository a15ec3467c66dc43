import { Plots } from './plots.js'
import { setUpTable } from './table.js'
import { setUpTheme } from './theme.js'

/** The program of the page: draws the figures, sorts and filters the table of tensors, and changes the theme. */
const plots = new Plots([...document.querySelectorAll<HTMLElement>('.plot')])
setUpTheme(() => {
  plots.redraw()
})
setUpTable()
plots.watch()
