/* SPDX-License-Identifier: MIT */
/* audio/signal.py (trimming), audio/chroma.py (tuning) and audio/features.py for a whole clip. */
#include "npr_clip.h"
#include "npr_math.h"

#define MOST_SAMPLES ((size_t)1 << 27)

typedef struct {
    const int16_t *pcm;
    size_t samples;
} piece;

/* The workspace: log-mel bands of all frames; then peaks of all frames, whose place the chroma weights
 * take. */
typedef struct {
    float *log_mel, *hz, *height, *chroma;
    size_t peaks;
} work;

npr_status npr_clip_size(size_t samples, size_t *frames, size_t *floats) {
    if (frames == NULL || floats == NULL) { return NPR_ERROR_NULL; }
    if (samples == 0 || samples > MOST_SAMPLES) { return NPR_ERROR_SIZE; }
    *frames = NPR_CLIP_FRAMES(samples);
    *floats = NPR_CLIP_FLOATS(samples);
    return NPR_OK;
}

#ifdef NPR_TRIM_RATIO
#define TRIM_HOP 512u

/* Energy of the run of TRIM_HOP samples number k, in squares of one unit of PCM. */
static float run_energy(piece clip, size_t k) {
    int64_t sum = 0;
    for (size_t n = k * TRIM_HOP; n < (k + 1) * TRIM_HOP && n < clip.samples; n++) {
        sum += (int32_t)clip.pcm[n] * clip.pcm[n];
    }
    return (float)sum;
}

/* Energy of the four runs about sample k * TRIM_HOP, not below 1e-10 of full scale. */
static float frame_energy(piece clip, size_t k) {
    const float quietest = 219.902326f; /* 1e-10 * 2048 * 32768^2 */
    float sum = run_energy(clip, k) + run_energy(clip, k + 1);
    if (k > 0) { sum += run_energy(clip, k - 1); }
    if (k > 1) { sum += run_energy(clip, k - 2); }
    return sum > quietest ? sum : quietest;
}

/* From the first to the last frame that is at most the trim range below the loudest. */
static piece trim(piece clip) {
    float loudest = 0.0f;
    size_t first = clip.samples / TRIM_HOP, last = 0;
    for (size_t k = 0; k <= clip.samples / TRIM_HOP; k++) {
        const float energy = frame_energy(clip, k);
        loudest = energy > loudest ? energy : loudest;
    }
    for (size_t k = 0; k <= clip.samples / TRIM_HOP; k++) {
        if (frame_energy(clip, k) <= loudest * NPR_TRIM_RATIO) { continue; }
        first = k < first ? k : first;
        last = k;
    }
    const size_t stop = (last + 1) * TRIM_HOP < clip.samples ? (last + 1) * TRIM_HOP : clip.samples;
    const piece trimmed = {clip.pcm + first * TRIM_HOP, stop - first * TRIM_HOP};
    return trimmed;
}
#else
static piece trim(piece clip) { return clip; }
#endif

/* The spectrum of frame t, centred on sample t * NPR_HOP. */
static void transform(piece clip, size_t t, npr_spectrum *spectrum) {
    for (size_t k = 0; k < NPR_FFT; k++) {
        const size_t n = t * NPR_HOP + k; /* NPR_FFT / 2 samples too far on */
        const int inside = n >= NPR_FFT / 2 && n - NPR_FFT / 2 < clip.samples;
        spectrum->frame[k] = inside ? clip.pcm[n - NPR_FFT / 2] : 0;
    }
    npr_power_spectrum(spectrum);
}

/* Local maxima between NPR_PITCH_START and NPR_PITCH_STOP, by a parabola through three bins. */
static void find_peaks(const float *power, work *w) {
    const float bin_hz = (float)NPR_SAMPLE_RATE / NPR_FFT;
    float loudest = 0.0f;
    for (size_t k = 0; k < NPR_BINS; k++) { loudest = power[k] > loudest ? power[k] : loudest; }
    for (size_t k = NPR_PITCH_START; k < NPR_PITCH_STOP; k++) {
        const float left = power[k - 1], middle = power[k], right = power[k + 1];
        if (!(middle > 0.1f * loudest && middle > left && middle >= right)) { continue; }
        const float curvature = (left + right) - 2.0f * middle, slope = 0.5f * (right - left);
        /* otherwise the summit is more than a bin away */
        const int inside = (slope < 0.0f ? -slope : slope) < -curvature;
        const float shift = inside ? -slope / curvature : 0.0f;
        w->hz[w->peaks] = (float)k * bin_hz + shift * bin_hz;
        w->height[w->peaks++] = middle + 0.5f * slope * shift;
    }
}

/* The value with `rank` smaller ones. Positive floats are ordered as their bits are: halve the range of
 * bits. */
static float ranked(const float *values, size_t n, size_t rank) {
    uint32_t low = 0, high = 0x7f800000u;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        size_t below = 0;
        for (size_t k = 0; k < n; k++) { below += npr_to_bits(values[k]) <= middle; }
        if (below > rank) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return npr_from_bits(low);
}

/* Deviation from A440 in pitch classes: the fullest of 100 bins, of the peaks that are not below the
 * median. */
static float tuning_of(const work *w) {
    uint32_t counts[100] = {0};
    if (w->peaks == 0) { return 0.0f; }
    const float median =
        0.5f * (ranked(w->height, w->peaks, (w->peaks - 1) / 2) + ranked(w->height, w->peaks, w->peaks / 2));
    for (size_t k = 0; k < w->peaks; k++) {
        if (w->height[k] < median) { continue; }
        /* above A0; NumPy's roundings, for the same ties */
        const float pitch = NPR_CHROMA * npr_log2(w->hz[k] / 27.5f);
        const float fraction = pitch - (float)(int32_t)pitch; /* in [0, 1), to be taken as [-1/2, 1/2) */
        const size_t bin = (size_t)((fraction < 0.5f ? fraction + 0.5f : fraction - 0.5f) * 100.0f);
        counts[bin < 100 ? bin : 99]++;
    }
    size_t best = 0;
    for (size_t k = 1; k < 100; k++) { best = counts[k] > counts[best] ? k : best; }
    return -0.5f + 0.01f * (float)best;
}

/* Weights of one bin in the classes, from C on: Gaussians about its pitch, of norm 1, fainter far from the
 * middle octave. */
static void chroma_weights(size_t bin, float tuning, float *weights) {
    const float lowest = npr_log2((float)NPR_SAMPLE_RATE / NPR_FFT / 27.5f) - tuning / NPR_CHROMA;
    const float octave = bin == 0 ? lowest - 1.5f : lowest + npr_log2((float)bin);
    const float step = bin == 0 ? 1.5f * NPR_CHROMA : NPR_CHROMA * npr_log2((float)(bin + 1) / (float)bin);
    const float narrowness = step > 1.0f ? 2.0f / step : 2.0f, far = 0.5f * (octave - 5.0f);
    float norm = 0.0f;
    for (size_t p = 0; p < NPR_CHROMA; p++) {
        /* class 0 is C, pitch 0 is A */
        float distance = npr_pitch[bin] - tuning - (float)((p + 3 * (NPR_CHROMA / 12)) % NPR_CHROMA);
        while (distance < -0.5f * NPR_CHROMA) { distance += NPR_CHROMA; }
        while (distance >= 0.5f * NPR_CHROMA) { distance -= NPR_CHROMA; }
        weights[p] = npr_exp(-0.5f * (narrowness * distance) * (narrowness * distance));
        norm += weights[p] * weights[p];
    }
    const float scale = npr_exp2(-0.5f * npr_log2(norm)) * npr_exp(-0.5f * far * far);
    for (size_t p = 0; p < NPR_CHROMA; p++) { weights[p] *= scale; }
}

static void chroma_of(const float *power, const float *bank, float *chroma) {
    for (size_t p = 0; p < NPR_CHROMA; p++) { chroma[p] = 0.0f; }
    for (size_t k = 0; k < NPR_BINS; k++, bank += NPR_CHROMA) {
        for (size_t p = 0; p < NPR_CHROMA; p++) { chroma[p] += bank[p] * power[k]; }
    }
    npr_normalise_chroma(chroma);
}

/* Log-mel bands and peaks of all frames; the loudest band. */
static float first_pass(piece clip, npr_spectrum *spectrum, work *w) {
    float loudest = -1000.0f;
    for (size_t t = 0; t < NPR_CLIP_FRAMES(clip.samples); t++) {
        transform(clip, t, spectrum);
        npr_log_mel(spectrum);
        find_peaks(spectrum->power, w);
        for (size_t m = 0; m < NPR_MELS; m++) {
            w->log_mel[t * NPR_MELS + m] = spectrum->mel[m];
            loudest = spectrum->mel[m] > loudest ? spectrum->mel[m] : loudest;
        }
    }
    return loudest;
}

npr_status npr_clip_features(const int16_t *pcm, size_t samples, npr_spectrum *spectrum, float *workspace,
                             size_t floats, float *features, size_t capacity, size_t *frames) {
    size_t most, needed;
    const npr_status status = npr_clip_size(samples, &most, &needed);
    if (status != NPR_OK) { return status; }
    if (pcm == NULL || spectrum == NULL || workspace == NULL || features == NULL || frames == NULL) {
        return NPR_ERROR_NULL;
    }
    if (floats < needed || capacity < most) { return NPR_ERROR_SIZE; }
    const piece whole = {pcm, samples}, clip = trim(whole);
    float *after = workspace + most * NPR_MELS;
    work w = {workspace, after, after + NPR_CLIP_PEAKS(samples), after, 0};
    const float floor_db = first_pass(clip, spectrum, &w) - NPR_TOP_DB, tuning = tuning_of(&w);
    for (size_t k = 0; k < NPR_BINS; k++) { chroma_weights(k, tuning, w.chroma + k * NPR_CHROMA); }
    *frames = NPR_CLIP_FRAMES(clip.samples);
    for (size_t t = 0; t < *frames; t++, features += NPR_MFCC + NPR_CHROMA) {
        float *log_mel = w.log_mel + t * NPR_MELS;
        for (size_t m = 0; m < NPR_MELS; m++) { log_mel[m] = log_mel[m] > floor_db ? log_mel[m] : floor_db; }
        npr_mfcc(log_mel, features);
        transform(clip, t, spectrum);
        chroma_of(spectrum->power, w.chroma, features + NPR_MFCC);
    }
    return NPR_OK;
}
