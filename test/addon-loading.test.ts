import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CfgDistillError } from 'cfgdistill';
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Attempt, adviceOnAddon } from '../lib/addon/advice.ts';
import { inspectBinary } from '../lib/addon/binary.ts';
import { addonCandidates } from '../lib/addon/candidates.ts';
import { readElf } from '../lib/addon/elf.ts';
import { compareVersions, type Reason, whyNotLoaded } from '../lib/addon/reason.ts';
import { libcOf, type System, thisSystem } from '../lib/addon/system.ts';
import { missingTools } from '../lib/addon/tools.ts';
import { addonPath, loadFirst } from '../lib/addon.ts';
import { compileLibrary, machO, patchedCopy, portableExecutable, withMachine } from './support/addon-files.ts';

const folder = mkdtempSync(join(tmpdir(), 'cfgdistill-addon-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const good = addonPath() as string;
const here = thisSystem();
const file = (name: string, content: string | Buffer) => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};
/** A version that the addon wants of a library, and one that no library has. */
const newer = (library: string): [string, string] => {
  const wanted = inspectBinary(good).versions.filter((version) => version.startsWith(library));
  const last = wanted
    .sort((a, b) => compareVersions(a.slice(library.length), b.slice(library.length)))
    .at(-1) as string;
  return [last, last.replace(/\d/g, '9')];
};

/** What is said about a file that must not load. */
function refusal(path: string): string {
  try {
    loadFirst([path], folder);
  } catch (error) {
    expect(error).toBeInstanceOf(CfgDistillError);
    return (error as Error).message;
  }
  throw new Error(`${path} was loaded`);
}

// The reasons are those of Linux's loader.
if (process.platform !== 'linux') console.warn('skipped: files that the loader of Linux refuses, and what is in them');
describe.runIf(process.platform === 'linux')('a file that cannot be the addon is refused with the reason', () => {
  // Which would be told about instead.
  beforeEach(() => void vi.stubEnv('CFGDISTILL_ADDON', undefined));
  afterAll(() => void vi.unstubAllEnvs());
  it.each<[string, () => string, RegExp]>([
    ['missing', () => join(folder, 'nothing.node'), /nothing\.node: not there;/],
    ['below a file', () => join(file('f', ''), 'a.node'), /a\.node: not there;/],
    ['a folder', () => mkdirSync(join(folder, 'd.node'), { recursive: true }) as string, /d\.node: is a folder;/],
    ['empty', () => file('empty.node', ''), /empty\.node: is an empty file /],
    ['text', () => file('text.node', 'version https://git-lfs'), /is no native library: it begins "version https:\/\//],
    ['only a magic number', () => file('magic.node', '\x7fELF'), /is a damaged or truncated ELF file/],
    ['truncated', () => file('short.node', readFileSync(good).subarray(0, 100)), /is a damaged or truncated ELF file/],
    [
      'for another processor',
      () => withMachine(good, join(folder, 'arm.node'), here.arch === 'arm64' ? 62 : 183),
      here.arch === 'arm64' ? /is built for x64; this Node is arm64/ : /is built for arm64; this Node is x64/,
    ],
    ['of macOS', () => file('mac.node', machO(0x0100000c)), /is a library for macOS; this is Linux/],
    ['of Windows', () => file('win.node', portableExecutable(0x8664)), /is a library for Windows; this is Linux/],
    [
      'for a newer glibc',
      () => patchedCopy(good, join(folder, 'new.node'), ...newer('GLIBC_')),
      /needs glibc 9[9.]+ or newer; this system has \d\.\d+ \(.*GLIBC_9[9.]+' not found/,
    ],
    [
      'for a newer libstdc++',
      () => patchedCopy(good, join(folder, 'newcxx.node'), ...newer('GLIBCXX_')),
      /needs GLIBCXX_9[9.]+, which the installed library lacks/,
    ],
    [
      'for musl',
      () => {
        const libc = compileLibrary(folder, 'libc.so', 'int f;', '-Wl,-soname,libc.musl-x86_64.so.1');
        return compileLibrary(folder, 'musl.node', 'int g;', '-Wl,--no-as-needed', libc);
      },
      /is built for musl \(Alpine Linux\); this system has glibc \(libc\.musl-x86_64\.so\.1: cannot open/,
    ],
    [
      'linked to a library that is not installed',
      () => {
        const other = compileLibrary(folder, 'libother.so', 'int f;', '-Wl,-soname,libother.so.7');
        return compileLibrary(folder, 'other.node', 'int g;', '-Wl,--no-as-needed', other);
      },
      /needs libother\.so\.7, which is not installed/,
    ],
    ['no addon', () => compileLibrary(folder, 'plain.node', 'int g;'), /is a library, but no addon of Node/],
    [
      'for a newer Node-API',
      () =>
        compileLibrary(folder, 'api.node', 'int napi_later(void); int f(void) { return napi_later(); }', '-Wl,-z,now'),
      /needs a newer Node-API than this Node has \(undefined symbol: napi_later\)/,
    ],
    [
      'with a symbol that is nowhere',
      () => compileLibrary(folder, 'symbol.node', 'int nowhere(void); int f(void) { return nowhere(); }', '-Wl,-z,now'),
      /does not load \(undefined symbol: nowhere\)/,
    ],
    [
      'another addon',
      () =>
        compileLibrary(
          folder,
          'stranger.node',
          'void *napi_register_module_v1(void *env, void *exports) { return exports; }',
        ),
      /is an addon, but not that of cfgdistill/,
    ],
  ])('%s', (_, make, expected) => {
    const message = refusal(make());
    expect(message).toMatch(
      /^the native addon of cfgdistill could not be loaded on linux-\w+ \(glibc [\d.]+\), Node v/,
    );
    expect(message).toMatch(expected);
    expect(message).toMatch(/what to do:\n.*npm rebuild cfgdistill/);
  });

  it('unreadable', () => {
    const path = file('locked.node', 'x');
    chmodSync(path, 0);
    // The superuser reads everything.
    const expected = process.getuid?.() === 0 ? /no native library/ : /cannot be read|EACCES/;
    expect(refusal(path)).toMatch(expected);
  });

  it('each of several is named, in the order in which they were tried', () => {
    expect.assertions(2);
    const paths = [join(folder, 'no.node'), file('e.node', '')];
    try {
      loadFirst(paths, folder);
    } catch (error) {
      expect((error as Error).message).toMatch(/no\.node: not there;\n {2}.*e\.node: is an empty file/);
      expect((error as Error).cause).toBeInstanceOf(Error);
    }
  });
});

describe('the loader', () => {
  it('takes the first file that loads, and warns when one before it is broken', () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const broken = file('stale.node', 'no library');
    expect(loadFirst([join(folder, 'absent.node'), good]).path).toBe(good);
    expect(warn).not.toHaveBeenCalled();
    expect(loadFirst([broken, good]).path).toBe(good);
    expect(warn).toHaveBeenCalledWith(
      expect.stringMatching(/stale\.node is no native library.*in use instead: .*cfgdistill/),
      'CfgDistillWarning',
    );
    warn.mockRestore();
  });

  it('looks for what was compiled here, then for what fits of what was shipped', () => {
    const linux = { platform: 'linux', arch: 'arm64', libc: 'musl' } as const;
    expect(addonCandidates('/p', linux, {})).toEqual([
      '/p/build/Release/cfgdistill.node',
      '/p/prebuilds/linux-arm64/cfgdistill.musl.node',
    ]);
    const mac = { platform: 'darwin', arch: 'arm64', libc: null };
    expect(addonCandidates('/p', mac, {})[1]).toBe('/p/prebuilds/darwin-arm64/cfgdistill.node');
    expect(addonCandidates('/p', linux, { CFGDISTILL_ADDON: '/other.node' })).toEqual(['/other.node']);
  });

  it('loads a file under any other name', () => {
    const copy = join(folder, 'copied.node');
    copyFileSync(good, copy);
    expect(loadFirst([copy])).toMatchObject({ path: copy, addon: { isa: expect.any(Function) } });
  });
});

describe.runIf(process.platform === 'linux')('what a file says about itself', () => {
  it('architectures of every format', () => {
    expect(inspectBinary(good)).toMatchObject({ platform: 'linux', architectures: [process.arch] });
    expect(inspectBinary(good).versions).toContainEqual(expect.stringMatching(/^GLIBC_2\.\d/));
    expect(inspectBinary(file('u', machO(0x01000007, 0x0100000c)))).toMatchObject({
      platform: 'darwin',
      architectures: ['x64', 'arm64'],
    });
    expect(inspectBinary(file('w', portableExecutable(0xaa64)))).toMatchObject({
      platform: 'win32',
      architectures: ['arm64'],
    });
  });

  it('survives every truncation and damage of a library', () => {
    const bytes = readFileSync(compileLibrary(folder, 'small.so', 'int f;', '-Wl,--build-id=none'));
    const outcome = (content: Buffer) => {
      try {
        return readElf(content).architecture;
      } catch (error) {
        expect(error).toBeInstanceOf(CfgDistillError);
        return 'refused';
      }
    };
    expect(outcome(bytes)).toBe(process.arch);
    const step = Math.max(1, Math.floor(bytes.length / 500));
    for (let length = 4; length < bytes.length; length += step) outcome(bytes.subarray(0, length));
    // The header, the program headers and the dynamic section, each byte with its bits turned over.
    for (let at = 4; at < bytes.length; at += at < 1024 ? 1 : step) {
      const damaged = Buffer.from(bytes);
      damaged[at] = ~(damaged[at] as number) & 0xff;
      outcome(damaged);
    }
  });

  it('the C library is that of the program loader', () => {
    expect(libcOf(process.execPath)).toBe('glibc');
    const musl = compileLibrary(
      folder,
      'musl',
      'void _start(void) {}',
      '-pie',
      '-Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1',
    );
    expect(libcOf(musl)).toBe('musl');
  });

  it('versions are compared by their numbers', () => {
    expect(compareVersions('2.9', '2.31')).toBeLessThan(0);
    expect(compareVersions('2.31', '2.31')).toBe(0);
    expect(compareVersions('2.31.1', '2.31')).toBeGreaterThan(0);
  });
});

describe('advice', () => {
  const alpine: System = { platform: 'linux', arch: 'x64', libc: 'musl', glibc: null, node: 'v20.0.0', napi: '9' };
  const attempt = (kind: Reason['kind']): Attempt => ({ path: '/a.node', reason: { kind, text: '' } });
  const advice = (kind: Reason['kind'], system = here, environment: NodeJS.ProcessEnv = {}) =>
    adviceOnAddon([attempt(kind)], system, folder, environment).join('\n');

  it.each<[Reason['kind'], RegExp]>([
    ['absent', /no prebuilt addon for linux-x64 with glibc.*--ignore-scripts.*npm rebuild cfgdistill/],
    ['elsewhere', /installed on another system and copied here/],
    ['old-libc', /Compile the addon on this machine/],
    ['node', /Use Node 20 or newer/],
  ])('for a file that is %s', (kind, expected) => {
    expect(advice(kind, { ...here, arch: 'x64' })).toMatch(expected);
  });

  it('names what compiling lacks, and the packages of the system', () => {
    expect(missingTools('linux', { PATH: folder })).toEqual(['Python 3', 'make', 'a C++20 compiler']);
    expect(missingTools('linux', { PATH: folder, CXX: 'x', PYTHON: 'y' })).toEqual(['make']);
    expect(advice('absent', here, { PATH: folder })).toMatch(
      /not found here: Python 3, make, a C\+\+20 compiler.*apt-get/,
    );
    expect(advice('library', alpine)).toMatch(/apk add libstdc\+\+(.|\n)*apk add python3 make g\+\+/);
    expect(advice('absent', { ...alpine, platform: 'darwin', libc: null })).toMatch(/xcode-select --install/);
    expect(advice('absent', { ...alpine, platform: 'win32', libc: null })).toMatch(/ClangCL/);
  });

  it('points to a compilation that broke off, to the checkout, and to CFGDISTILL_ADDON', () => {
    const root = join(folder, 'package');
    mkdirSync(join(root, 'build'), { recursive: true });
    expect(adviceOnAddon([attempt('absent')], here, root, {})[0]).toMatch(/not compiled to the end/);
    mkdirSync(join(root, 'lib'));
    writeFileSync(join(root, 'lib/native.ts'), '');
    expect(adviceOnAddon([attempt('absent')], here, root, {})[0]).toMatch(/npm run build:native/);
    expect(advice('absent', here, { CFGDISTILL_ADDON: '/a.node' })).toMatch(/unset it/);
  });

  it('an addon of one Node alone is recognised by what another Node says', () => {
    const message = `The module '${good}'\nwas compiled against a different Node.js version using\nNODE_MODULE_VERSION 93.`;
    expect(whyNotLoaded(good, message, here)).toMatchObject({
      kind: 'node',
      text: expect.stringMatching(/another Node/),
    });
  });

  it('a system of musl is told about a library for glibc', () => {
    expect(whyNotLoaded(good, 'x', alpine)).toEqual({
      kind: 'elsewhere',
      text: 'is built for glibc; this system has musl (Alpine Linux) (x)',
    });
  });
});
