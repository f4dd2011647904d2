/** Image references, compared after normalisation so that `docker.io/library/busybox` is `busybox`. Pure. */
export interface Reference {
  readonly repository: string;
  readonly tag: string;
  readonly digest: string;
}

export function parseReference(text: string): Reference {
  const [named = '', digest = ''] = text.split('@', 2);
  const colon = named.lastIndexOf(':');
  const tagged = colon > 0 && !named.slice(colon).includes('/');
  const repository = (tagged ? named.slice(0, colon) : named).replace(/^(?:index\.)?docker\.io\//, '').replace(/^library\//, '');
  return { repository, tag: tagged ? named.slice(colon + 1) : '', digest };
}

export interface KnownImage {
  readonly Id: string;
  readonly RepoTags: readonly string[];
  readonly RepoDigests: readonly string[];
}

/** Whether a client's word means this image: an id, an id prefix of three characters or more, or a reference (`latest` by default). */
export function meansImage(name: string, image: KnownImage): boolean {
  const id = image.Id.replace(/^sha256:/, '');
  const bare = name.replace(/^sha256:/, '');
  if (/^[0-9a-f]{3,64}$/.test(bare) && id.startsWith(bare)) return true;
  const wanted = parseReference(name);
  if (wanted.digest !== '') {
    return (
      image.Id === wanted.digest ||
      image.RepoDigests.some((entry) => sameRepository(entry, wanted) && parseReference(entry).digest === wanted.digest)
    );
  }
  const tag = wanted.tag === '' ? 'latest' : wanted.tag;
  return image.RepoTags.some((entry) => sameRepository(entry, wanted) && parseReference(entry).tag === tag);
}

const sameRepository = (entry: string, wanted: Reference): boolean => parseReference(entry).repository === wanted.repository;
