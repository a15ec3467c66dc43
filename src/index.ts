/**
 * retrograd's public interface: what the command line is a thin layer on.
 *
 * `runReplay` does a whole run from paths to a results folder; the other functions are its parts.
 */
export { openTrajectory } from './trajectory/open-trajectory.js'
export type { Checkpoint, StepUnit, TensorInfo, Trajectory } from './trajectory/checkpoint.js'
export { bind } from './trajectory/bind.js'
export type { Binding, BindOptions, BoundPair, Evidence, NetworkTensor } from './trajectory/bind.js'
export type { TiedTensor } from './trajectory/tied.js'
export { draftMap } from './trajectory/draft-map.js'
export { formatMap, parseMap, readMap, writeMap } from './trajectory/map-file.js'
export type { MapEntry, NameMap } from './trajectory/map-file.js'
export { inspectTrajectory } from './trajectory/inspect/inspect.js'
export type { Inspection, InspectOptions, TensorReport } from './trajectory/inspect/inspect.js'
export type { Problem, ProblemKind } from './trajectory/inspect/problem.js'
export type { ScanOptions } from './trajectory/scan.js'
export { WEIGHT_KINDS } from './trajectory/formats/format.js'
export type { WeightKind } from './trajectory/formats/format.js'
export { parseStepRange } from './trajectory/step-range.js'
export type { StepRange } from './trajectory/step-range.js'

export { readModel as openModel } from './onnx/read.js'
export { encodeModel } from './onnx/write.js'
export type { FileFacts } from './onnx/write.js'
export { graphText } from './onnx/text.js'
export type { Dim, Graph, NamedValue, Node, Shape } from './onnx/graph.js'

export { openData } from './data/open-data.js'
export type { Transform } from './data/transform.js'
export type { DataNeeds, DataOptions, DataSet, InputSpec, Samples, TargetSpec } from './data/needs.js'

export { differentiate } from './autodiff/differentiate.js'
export type { DifferentiateOptions, GradientGraph } from './autodiff/differentiate.js'
export { standaloneGradient } from './autodiff/standalone.js'
export type { StandaloneGradient, StandaloneOptions } from './autodiff/standalone.js'
export { parseLoss } from './autodiff/losses.js'
export type { LossChoices, LossSpec, TargetNeed } from './autodiff/losses.js'

export { createEngine, evaluate } from './engines/create.js'
export type { Gradients } from './engines/create.js'
export type { OnnxRuntimeOptions as EngineOptions } from './engines/onnxruntime.js'
export type {
  Engine,
  MicroBatch,
  MicroBatchResult,
  Parameters,
  SampleArray,
  SplitData,
} from './engines/engine.js'
export type { Cut } from './engines/micro-batches.js'

export { replay } from './replay/replay.js'
export type { ReplayInput, ReplayOptions } from './replay/replay-input.js'
export type { ReplayProgress } from './replay/progress.js'
export type { ReplaySink } from './replay/advance.js'
export { ReplayJournal } from './replay/journal.js'
export { LocalEvaluator } from './replay/workers/local.js'
export { bindNetwork, networkTensors } from './replay/binding.js'
export type { BoundNetwork } from './replay/binding.js'
export { describeTensors } from './replay/tensors.js'
export type { LcaTensor } from './replay/tensors.js'
export type { TableSink } from './replay/rows.js'
export { runReplay } from './replay/run.js'
export type { RunResult } from './replay/run.js'
export type { RunEvents, RunOptions } from './replay/options.js'

export { verifyResults } from './verify/verify.js'
export type {
  Contradiction,
  FineDistance,
  IntervalVerification,
  Pair,
  SplitDistance,
  Verdict,
  Verification,
  VerifyEvents,
  VerifyOptions,
  VerifyProgress,
} from './verify/model.js'

export { openArchive, openResults, openTables } from './tables/read.js'
export type { ArrowTypes } from './tables/arrow-types.js'
export type { Archive, Results } from './tables/read.js'
export { openQuery } from './tables/query.js'
export type { Query, QueryColumns, QueryOptions, QueryParameters } from './tables/query.js'
export { ResultsWriter } from './tables/writer.js'
export { TABLES } from './tables/schema.js'
export type { Batch, ColumnBatch, Granularity, TableName } from './tables/schema.js'
export type { Manifest } from './tables/manifest.js'

export { analyzeRun } from './analysis/analyze.js'
export { compareRuns } from './analysis/compare.js'
export type { Alignment, Comparison } from './analysis/compare.js'
export type { Estimate, Finding, RunAnalysis, SplitAnalysis } from './analysis/model.js'
export { summarize, summarizeResults } from './analysis/summary.js'
export type { LayerSummary, RunSummary, SplitSummary } from './analysis/summary.js'

export { tfjsBackends } from './engines/tfjs/probe.js'
export type { TfjsBackendReport } from './engines/tfjs/probe.js'

export * from './errors.js'
export type { DType, FloatArray, Tensor, TypedArray } from './tensor.js'
export { VERSION } from './version.js'
