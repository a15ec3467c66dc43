/** The WebAssembly build of libjpeg-turbo's decoder; the package has no types. `jpeg.ts` says what is used of it. */
declare module '@cornerstonejs/codec-libjpeg-turbo-8bit/decodewasmjs' {
  const load: () => Promise<{
    readonly JPEGDecoder: new () => {
      getEncodedBuffer(length: number): Uint8Array
      decode(): void
      getDecodedBuffer(): Uint8Array
      delete(): void
    }
  }>
  export default load
}
