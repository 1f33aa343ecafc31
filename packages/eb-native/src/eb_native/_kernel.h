/* Lists of what is not zero, and what is summed over them, for one instruction set. Included once for each.

   LANES    channels at a time
   TARGET   attribute that compiles a function for the instruction set
   NAME(x)  the function's name
   PACKED   defined where 16 values can be packed by a mask in one instruction (AVX-512)
*/

typedef float NAME(vec) __attribute__((vector_size(4 * LANES), aligned(4)));
typedef int32_t NAME(ints) __attribute__((vector_size(4 * LANES), aligned(4)));
typedef uint8_t NAME(bytes) __attribute__((vector_size(LANES), aligned(1)));

/* Appends the channels of one pixel that are not zero, and lie at place `wanted` if there are places. */
TARGET static int NAME(collect)(const float *image, const uint8_t *places, int wanted, int channels,
                                float *value, int32_t *offset)
{
    int found = 0;
#ifdef PACKED
    const __m512i step = _mm512_set1_epi32(9 * LANES * 16);
    __m512i at = _mm512_mullo_epi32(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                                    _mm512_set1_epi32(9 * LANES));
    for (int c = 0; c < channels; c += 16, at = _mm512_add_epi32(at, step)) {
        __mmask16 inside = channels - c >= 16 ? 0xffff : (1 << (channels - c)) - 1;
        __m512 some = _mm512_maskz_loadu_ps(inside, image + c);
        __mmask16 kept = _mm512_cmp_ps_mask(some, _mm512_setzero_ps(), _CMP_NEQ_UQ);
        if (places)
            kept &= _mm_cmpeq_epi8_mask(_mm_maskz_loadu_epi8(inside, places + c), _mm_set1_epi8(wanted));
        _mm512_storeu_ps(value + found, _mm512_maskz_compress_ps(kept, some));
        _mm512_storeu_si512(offset + found, _mm512_maskz_compress_epi32(kept, at));
        found += __builtin_popcount(kept);
    }
#else
    for (int c = 0; c < channels; c++) {
        value[found] = image[c];
        offset[found] = c * 9 * LANES;
        found += (image[c] != 0) & (!places || places[c] == wanted);
    }
#endif
    return found;
}

/* Fills the lists of one sample: block of channels by block, pixel by pixel of the map, row after row. */
TARGET static void NAME(gather)(const struct job *job, int sample, struct lists lists)
{
    int side = job->places ? 2 : 1, columns = job->width / side;
    size_t start = (size_t)sample * (job->height / side) * columns * job->inputs;
    const float *image = job->image + start;
    const uint8_t *places = job->places ? job->places + start : NULL;
    size_t at = 0, count = 0;
    for (int first = 0; first < job->inputs; first += BLOCK) {
        int channels = job->inputs - first < BLOCK ? job->inputs - first : BLOCK;
        for (int y = 0; y < job->height; y++)
            for (int x = 0; x < job->width; x++) {
                size_t here = (size_t)(y / side * columns + x / side) * job->inputs + first;
                int place = y % side * 2 + x % side;
                int found = NAME(collect)(image + here, places ? places + here : NULL, place, channels,
                                          lists.value + at, lists.offset + at);
                lists.count[count++] = found;
                at += found;
            }
    }
}

/* Adds value x weights to the 3x3 window around each pixel of a row, for every entry of the pixel's list; `window` is
   that of the first pixel. What a row brings to a column is summed in registers, beginning with zero, which rounds less,
   and added when the window leaves the column. Returns the number of entries. */
TARGET static inline size_t NAME(scatter)(float *window, size_t row, int width, const float *weights,
                                          const float *value, const int32_t *offset, const int32_t *count)
{
#define AT(i, j) (*(NAME(vec) *)(window + (i) * row + (j) * LANES))
#define TAP(k) (*(const NAME(vec) *)(w + (k) * LANES))
    const NAME(vec) zero = {0};
    size_t entry = 0, end = 0;
    NAME(vec) a = zero, b = zero, d = zero, e = zero, g = zero, h = zero;
    for (int x = 0; x < width; x++, window += LANES) {
        NAME(vec) c = zero, f = zero, i = zero;
        for (end += count[x]; entry < end; entry++) {
            const float *w = weights + offset[entry];
            float scale = value[entry];
            a += scale * TAP(0), b += scale * TAP(1), c += scale * TAP(2);
            d += scale * TAP(3), e += scale * TAP(4), f += scale * TAP(5);
            g += scale * TAP(6), h += scale * TAP(7), i += scale * TAP(8);
        }
        AT(0, 0) += a, AT(1, 0) += d, AT(2, 0) += g;
        a = b, b = c, d = e, e = f, g = h, h = i;
    }
    AT(0, 0) += a, AT(0, 1) += b, AT(1, 0) += d, AT(1, 1) += e, AT(2, 0) += g, AT(2, 1) += h;
    return end;
#undef AT
#undef TAP
}

/* The maximum of a square for `lanes` channels and its place: first of equals, a NaN before all. */
TARGET static inline void NAME(maximum)(const float *square, size_t row, size_t column, int lanes,
                                        float *restrict best, uint8_t *restrict place)
{
    NAME(vec) most = *(const NAME(vec) *)square;
    NAME(ints) where = {0};
    for (int k = 1; k < 4; k++) {
        NAME(vec) other = *(const NAME(vec) *)(square + (k >> 1) * row + (k & 1) * column);
        NAME(ints) better = (other > most) | (other != other);
        most = (NAME(vec))(((NAME(ints))other & better) | ((NAME(ints))most & ~better));
        where = (k & better) | (where & ~better);
    }
    NAME(bytes) narrow = __builtin_convertvector(where, NAME(bytes));
    memcpy(best, &most, lanes * sizeof(float));
    memcpy(place, &narrow, lanes);
}

/* Writes a finished map without its frame, or its maxima and their places. */
TARGET static void NAME(deliver)(const struct job *job, int sample, int block, const float *map)
{
    int height = job->height, width = job->width, outputs = job->outputs;
    int lanes = outputs - block * LANES < LANES ? outputs - block * LANES : LANES;
    size_t row = (size_t)(width + 2) * LANES;
    map += row + LANES;
    if (!job->out_places) {
        float *out = job->out + (size_t)sample * height * width * outputs + block * LANES;
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++, out += outputs)
                memcpy(out, map + y * row + x * LANES, lanes * sizeof(float));
        return;
    }
    size_t here = (size_t)sample * (height / 2) * (width / 2) * outputs + block * LANES;
    for (int y = 0; y < height; y += 2)
        for (int x = 0; x < width; x += 2, here += outputs)
            NAME(maximum)(map + y * row + x * LANES, row, LANES, lanes, job->out + here, job->out_places + here);
}

/* Maxima and places of one sample's image; at least LANES channels. */
TARGET static void NAME(pool)(const struct job *job, int sample)
{
    int height = job->height, width = job->width, channels = job->inputs;
    size_t row = (size_t)width * channels;
    size_t here = (size_t)sample * (height / 2) * (width / 2) * channels;
    for (int y = 0; y < height; y += 2)
        for (int x = 0; x < width; x += 2, here += channels)
            for (int next = 0; next < channels; next += LANES) {
                int c = channels - next < LANES ? channels - LANES : next;
                const float *square = job->image + (size_t)sample * height * row + y * row + (size_t)x * channels + c;
                NAME(maximum)(square, row, channels, LANES, job->out + here + c, job->out_places + here + c);
            }
}

/* One block of output channels of a group of samples; `maps` holds their framed maps. */
TARGET static void NAME(work)(const struct job *job, int block, int first, int last, const struct lists *lists,
                              float *maps)
{
    size_t row = (size_t)(job->width + 2) * LANES, map = (job->height + 2) * row;
    int samples = last - first, height = job->height, width = job->width;
    size_t at[MAX_GROUP] = {0}, count[MAX_GROUP] = {0};
    memset(maps, 0, samples * map * sizeof(float));
    for (int channel = 0; channel < job->inputs; channel += BLOCK) {
        const float *weights = job->weights + ((size_t)block * job->inputs + channel) * 9 * LANES;
        for (int sample = 0; sample < samples; sample++) {
            const struct lists *list = lists + first + sample;
            float *into = maps + sample * map;
            size_t here = at[sample], next = count[sample];
            for (int y = 0; y < height; y++, into += row, next += width)
                here += NAME(scatter)(into, row, width, weights, list->value + here, list->offset + here,
                                      list->count + next);
            at[sample] = here, count[sample] = next;
        }
    }
    for (int sample = 0; sample < samples; sample++)
        NAME(deliver)(job, first + sample, block, maps + sample * map);
}

/* Adds value x 3x3 window of the map for every entry of one list. */
TARGET static inline void NAME(sum)(float *sums, const float *map, size_t row, const float *value,
                                    const int32_t *offset, int count)
{
#define SUM(k) (*(NAME(vec) *)(sums + (k) * LANES))
#define AT(i, j) (*(const NAME(vec) *)(window + (i) * row + (j) * LANES))
    NAME(vec) a = {0}, b = {0}, c = {0}, d = {0}, e = {0}, f = {0}, g = {0}, h = {0}, i = {0};
    for (int entry = 0; entry < count; entry++) {
        const float *window = map + offset[entry];
        float x = value[entry];
        a += x * AT(0, 0), b += x * AT(0, 1), c += x * AT(0, 2);
        d += x * AT(1, 0), e += x * AT(1, 1), f += x * AT(1, 2);
        g += x * AT(2, 0), h += x * AT(2, 1), i += x * AT(2, 2);
    }
    SUM(0) += a, SUM(1) += b, SUM(2) += c, SUM(3) += d, SUM(4) += e, SUM(5) += f, SUM(6) += g, SUM(7) += h, SUM(8) += i;
#undef SUM
#undef AT
}

/* The entries of one sample by channel of `image`: value, and where its window begins in a framed map. */
TARGET static void NAME(sort)(const struct job *job, int sample, struct lists lists)
{
    int side = job->places ? 2 : 1, rows = job->height / side, columns = job->width / side, pixels = rows * columns;
    const float *image = job->image + (size_t)sample * pixels * job->inputs;
    const uint8_t *places = job->places ? job->places + (size_t)sample * pixels * job->inputs : NULL;
    int row = (job->width + 2) * LANES;
    memset(lists.count, 0, job->inputs * sizeof(int32_t));
    for (int pixel = 0; pixel < pixels; pixel++) {
        int corner = pixel / columns * side * row + pixel % columns * side * LANES;
        const int32_t window[4] = {corner, corner + LANES, corner + row, corner + row + LANES};
        for (int c = 0; c < job->inputs; c++, image++) {
            size_t at = (size_t)c * pixels + lists.count[c];
            lists.value[at] = *image;
            lists.offset[at] = window[places ? *places++ : 0];
            lists.count[c] += *image != 0;
        }
    }
}

/* Weight gradient between all channels of `image` and one block of those of `other`, into (inputs, 9, outputs);
   `map` holds a framed map, `sums` (inputs, 9, LANES). */
TARGET static void NAME(correlate)(const struct job *job, const float *other, int block, const struct lists *lists,
                                   float *map, float *sums)
{
    int height = job->height, width = job->width, outputs = job->outputs;
    int lanes = outputs - block * LANES < LANES ? outputs - block * LANES : LANES;
    int pixels = job->places ? height * width / 4 : height * width;
    size_t row = (size_t)(width + 2) * LANES;
    memset(map, 0, (height + 2) * row * sizeof(float));
    memset(sums, 0, (size_t)job->inputs * 9 * LANES * sizeof(float));
    for (int sample = 0; sample < job->samples; sample++) {
        const float *from = other + (size_t)sample * height * width * outputs + block * LANES;
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++, from += outputs)
                memcpy(map + (y + 1) * row + (x + 1) * LANES, from, lanes * sizeof(float));
        for (int channel = 0; channel < job->inputs; channel++)
            NAME(sum)(sums + (size_t)channel * 9 * LANES, map, row, lists[sample].value + (size_t)channel * pixels,
                      lists[sample].offset + (size_t)channel * pixels, lists[sample].count[channel]);
    }
    for (int line = 0; line < job->inputs * 9; line++)
        memcpy(job->out + (size_t)line * outputs + block * LANES, sums + (size_t)line * LANES, lanes * sizeof(float));
}
