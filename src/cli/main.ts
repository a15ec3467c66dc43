#!/usr/bin/env node
import { beginEarlyWorkers, stopEarlyWorkers } from './early-workers.js'

beginEarlyWorkers(process.argv.slice(2))
await import('./command-line.js')
stopEarlyWorkers()
