import type { GpuController, Machine } from './machine.ts';

/** The machine's GPUs (capabilities, in MiB); versions only where they are known. */
export interface GpuCapabilities {
  gpuCount: number;
  totalVramMib: number;
  cudaVersion?: string;
  driverVersion?: string;
  gpuModels: string[];
}

/** The display of a virtual machine or of a server's management board computes nothing. */
const displayOnly =
  /cirrus|qxl|red hat|virtio|vmware|virtualbox|innotek|bochs|basic display|hyper-v|aspeed|matrox|parallels|xensource/i;

const nameOf = ({ name, model, vendor }: GpuController): string => name || model || vendor || 'unknown';

/** The GPUs among the graphics controllers, or undefined where there is none. */
export function gpusOf(controllers: readonly GpuController[]): GpuCapabilities | undefined {
  const gpus = controllers.filter((one) => !displayOnly.test(`${one.vendor ?? ''} ${one.model ?? ''}`));
  if (gpus.length === 0) return undefined;
  const driverVersion = gpus.find((gpu) => gpu.driverVersion)?.driverVersion;
  return {
    gpuCount: gpus.length,
    totalVramMib: gpus.reduce((sum, { memoryTotal, vram }) => sum + (memoryTotal ?? vram ?? 0), 0),
    ...(driverVersion !== undefined && { driverVersion }),
    gpuModels: [...new Set(gpus.map(nameOf))],
  };
}

/** The CUDA version in the header of what `nvidia-smi` prints. */
export function parseCudaVersion(printed: string): string | undefined {
  return /CUDA Version\s*:\s*(\d+(?:\.\d+)*)/.exec(printed)?.[1];
}

/** Asks systeminformation for GPUs, and the NVIDIA driver for its CUDA version where there are some. */
export async function gpuCapabilities(machine: Machine): Promise<GpuCapabilities | undefined> {
  const controllers = await machine.graphics();
  const gpus = gpusOf(controllers);
  if (gpus === undefined || !controllers.some(({ vendor }) => /nvidia/i.test(vendor ?? ''))) return gpus;
  const cudaVersion = await machine.nvidiaSmi().then(parseCudaVersion, () => undefined);
  return { ...gpus, ...(cudaVersion !== undefined && { cudaVersion }) };
}
