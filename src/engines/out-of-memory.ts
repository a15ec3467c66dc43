/**
 * How engines, V8, C++ and the libraries of devices say that memory is short. By provider, as ONNX Runtime's issues quote
 * them:
 * - any: `std::bad_alloc`, `bfc_arena.cc:376 ... Failed to allocate memory for requested buffer of size 4585490`
 * - CUDA: `CUDA failure 2: out of memory`, `CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED`, `CUDNN_STATUS_ALLOC_FAILED`,
 *   `CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED` (cuDNN 9), `cudaErrorMemoryAllocation`
 * - WebGPU: `WebGPU device error(2): Out of memory`, `vkAllocateMemory failed with VK_ERROR_OUT_OF_DEVICE_MEMORY`,
 *   `Buffer size (3185049600) exceeds the max buffer size limit (1073741824)`, `Binding size (155582464) ... is larger than
 *   the maximum storage buffer binding size (134217728)`, `Allocation size too large`; what uses a buffer that could not be
 *   made says `[Invalid Buffer (unlabeled)] is invalid due to a previous error`; one that is larger than a binding is
 *   bound in pieces until `Too many storage buffers in shader. Current: 17, Max is 12`
 * - DirectML: `BucketizedBufferAllocator.cpp(122) ... 8007000E Not enough memory resources are available`
 * - TensorFlow: `OOM when allocating tensor with shape[16,128]`, `ResourceExhausted`
 */
const PATTERNS = [
  /bad_?alloc/,
  /failed to allocate|cannot allocate|allocation[ _]failed|alloc_failed|cudaErrorMemoryAllocation/,
  /out[ _]of[ _](host[ _]|device[ _])?memory|outofmemory/,
  /\[invalid buffer[^\]]*\] is invalid due to a previous error|allocation size too large/,
  /exceeds the max(imum)? buffer size|larger than the maximum (storage|uniform) buffer binding size/,
  /too many storage buffers in shader/,
  /8007000e|not enough memory/,
  /oom when allocating|resource ?exhausted/,
]

const OUT_OF_MEMORY = new RegExp(PATTERNS.map(({ source }) => source).join('|'), 'i')

/** Whether a message says that memory was short, of the machine or of a device: fewer samples at once may help. */
export function saysOutOfMemory(message: string): boolean {
  return OUT_OF_MEMORY.test(message)
}

/** The first line of a text that says so. */
export function memoryLineOf(text: string): string | undefined {
  return text
    .split('\n')
    .find((line) => saysOutOfMemory(line))
    ?.trim()
}
