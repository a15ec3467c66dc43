/** A library of NVIDIA's that ONNX Runtime's CUDA provider loads. */
export interface Requirement {
  /** As the line of the check begins. */
  readonly product: string
  readonly libraries: readonly string[]
  /** The package of PyPI that brings it, by CUDA's major version. */
  readonly packages: readonly string[]
}

/** What a build of the provider needs. */
export interface CudaBuild {
  /** CUDA's major version. */
  readonly cuda: number
  /** The oldest driver for Linux that runs it (NVIDIA, CUDA Compatibility, minor version compatibility). */
  readonly driver: number
  readonly requirements: readonly Requirement[]
}

/** The builds that there are for ONNX Runtime 1.30: NuGet's of CUDA 12, and PyPI's of CUDA 13. Both take cuDNN 9. */
const BUILDS: readonly CudaBuild[] = [build(12, 525, 11), build(13, 580, 12)]

export function buildFor(cuda: number): CudaBuild | undefined {
  return BUILDS.find((one) => one.cuda === cuda)
}

/** @param cufft the version in the name of cuFFT's library, which counts for itself */
function build(cuda: number, driver: number, cufft: number): CudaBuild {
  const suffix = cuda === 12 ? '-cu12' : ''
  return {
    cuda,
    driver,
    requirements: [
      {
        product: `CUDA ${cuda} runtime`,
        libraries: [`libcudart.so.${cuda}`],
        packages: [`nvidia-cuda-runtime${suffix}`],
      },
      {
        product: 'cuBLAS',
        libraries: [`libcublas.so.${cuda}`, `libcublasLt.so.${cuda}`],
        packages: [`nvidia-cublas${suffix}`],
      },
      { product: 'cuFFT', libraries: [`libcufft.so.${cufft}`], packages: [`nvidia-cufft${suffix}`] },
      { product: 'cuRAND', libraries: ['libcurand.so.10'], packages: [`nvidia-curand${suffix}`] },
      { product: 'cuDNN', libraries: ['libcudnn.so.9'], packages: [`nvidia-cudnn-cu${cuda}`] },
    ],
  }
}
