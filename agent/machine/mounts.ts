/** One line of /proc/self/mountinfo (proc_pid_mountinfo(5)). */
export interface Mount {
  /** `major:minor` of its device: the same for every mount of one file system. */
  device: string;
  /** Which part of the file system is mounted. */
  root: string;
  path: string;
  type: string;
  source: string;
  writable: boolean;
  superOptions: readonly string[];
}

const unescaped = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

export function parseMounts(text: string): Mount[] {
  return text.split('\n').flatMap((line) => {
    const [left = '', right = ''] = line.split(' - ');
    const [, , device, root, path, options] = left.split(' ');
    const [type, source, superOptions] = right.split(' ');
    if (!device || !root || !path || !type || !options) return [];
    const superList = superOptions?.split(',') ?? [];
    const writable = options.split(',').includes('rw') && superList.includes('rw');
    const [realRoot, realPath] = [unescaped(root), unescaped(path)];
    return [
      {
        device,
        root: realRoot,
        path: realPath,
        type,
        source: source ?? '',
        writable,
        superOptions: superList,
      },
    ];
  });
}

/** File systems that hold data on a disk of this machine. Not images, memory, overlays, or what lies elsewhere and may hang. */
const onDisk: ReadonlySet<string> = new Set([
  ...['ext2', 'ext3', 'ext4', 'xfs', 'btrfs', 'zfs', 'f2fs', 'jfs', 'nilfs2', 'reiserfs', 'bcachefs'],
  ...['vfat', 'exfat', 'ntfs', 'ntfs3', 'fuseblk', 'hfsplus', 'ufs'],
]);
/** Filled once, by the installer. */
const bootOnly = /^\/(?:boot|efi)(?:\/|$)/;
/** More are not asked. */
const MOST_DISKS = 32;

/**
 * Where the disks that matter are mounted: those that this machine can fill. Each file system once. In a container that
 * has none, the root that it writes to.
 */
export function disksThatMatter(mounts: readonly Mount[]): string[] {
  const byDevice = new Map<string, string>();
  for (const { device, path, type, source, writable } of mounts) {
    if (!writable || !onDisk.has(type) || /^\/dev\/loop/.test(source) || bootOnly.test(path)) continue;
    if (!byDevice.has(device)) byDevice.set(device, path);
  }
  if (byDevice.size > 0) return [...byDevice.values()].slice(0, MOST_DISKS);
  const root = mounts.findLast(({ path }) => path === '/');
  return root === undefined || (root.writable && root.type === 'overlay') ? ['/'] : [];
}
