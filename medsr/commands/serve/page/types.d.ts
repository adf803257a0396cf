// What the server's answers hold, as /api/openapi.json describes it; for the checker of types alone (`jsconfig.json`).

type Kind = "image" | "volume";
type Dtype = "uint8" | "int8" | "uint16" | "int16";

interface About { version: string; max_upload_bytes: number; keep_seconds: number }
interface Model { name: string; kind: Kind; scale: number | null; about: string; own: boolean; measured: string[]; card: string | null }
interface Pixels { url: string; width: number; height: number; channels: number; dtype: Dtype }
interface VoxelGrid { shape: number[]; spacing: number[] }
interface Suggestion { up_to: number | null; model: string; why: string }

interface ImageFacts {
  kind: "image"; format: string; width: number; height: number; channels: number; dtype: Dtype;
  low: number; high: number; inverted: boolean; show_low: number; show_high: number; unit: string; slope: number; intercept: number;
  header: string;
  suggested: string; why: string; fits: boolean; by_factor: Suggestion[]; notes: string[];
}
interface VolumeFacts {
  kind: "volume"; format: string; shape: number[]; spacing: number[]; dtype: string; modality: string; labels: boolean;
  finer: VoxelGrid | null; series: string | null; header: string; suggested: string; why: string; fits: boolean; notes: string[];
  show_low: number; show_high: number; range: number; unit: string;
}
type Facts = ImageFacts | VolumeFacts;

interface ImageUpload { id: string; name: string; bytes: number; facts: ImageFacts; pixels: Pixels; nifti: null }
interface VolumeUpload { id: string; name: string; bytes: number; facts: VolumeFacts; pixels: null; nifti: string }
type Upload = ImageUpload | VolumeUpload;

interface ImageResult {
  model: string; scale: number; file_name: string; download: string; pixels: Pixels; seconds: number;
  psnr: number | null; ssim: number | null; notes: string[];
}
interface VolumeResult {
  model: string; grid: VoxelGrid; file_name: string; download: string; nifti: string; sidecar: string;
  uncertainty: string | null; uncertainty_nifti: string | null; uncertainty_p99: number | null; interpolated_nifti: string | null;
  seconds: number; notes: string[];
}
interface Job {
  id: string; state: "waiting" | "running" | "done" | "failed" | "cancelled"; place: number | null; progress: number;
  seconds_left: number | null; doing: string; error: string | null; images: ImageResult[]; volume: VolumeResult | null;
}
