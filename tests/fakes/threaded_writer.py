"""A save from a process whose torch computes with several threads: prints the number of files that were written."""

import sys
from pathlib import Path

import torch
from torch.distributed.checkpoint.filesystem import _StorageWriterTransforms
from torch.distributed.checkpoint.metadata import ChunkStorageMetadata, MetadataIndex, TensorProperties
from torch.distributed.checkpoint.planner import TensorWriteData, WriteItem, WriteItemType

from trainer.checkpoints.share import BackgroundWriter, Share

if __name__ == "__main__":
    torch.set_num_threads(2)
    whole = torch.randn(4_000_000)
    (whole * 2).sum()  # now the threads are there
    view = whole[:2_000_000]
    size = torch.Size([view.numel()])
    item = WriteItem(
        index=MetadataIndex("x"),
        type=WriteItemType.TENSOR,
        tensor_data=TensorWriteData(
            chunk=ChunkStorageMetadata(offsets=torch.Size([0]), sizes=size),
            properties=TensorProperties.create_from_tensor(view),
            size=size,
        ),
    )
    folder = Path(sys.argv[1])
    bucket = (folder / "part", "part", ([], [(item, view)]))
    writer = BackgroundWriter(Share(directory=folder, buckets=[bucket], transforms=_StorageWriterTransforms()))
    written = writer.result()
    print(len(written.files), written.problem)  # noqa: T201
