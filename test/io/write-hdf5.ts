import { File as H5File, FS, ready } from 'h5wasm'

/** An HDF5 file as bytes, written by h5wasm in memory; its headers have no checksums, as in most files. */
export async function writeHdf5(fill: (file: H5File) => void): Promise<Uint8Array<ArrayBuffer>> {
  await ready
  const file = new H5File('/written.h5', 'w', { libver: ['earliest', 'v108'] })
  fill(file)
  file.close()
  const bytes = FS!.readFile('/written.h5')
  FS!.unlink('/written.h5')
  return new Uint8Array(bytes)
}
