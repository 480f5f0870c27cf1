"""PyInstaller's hook for npreslstm."""

from npreslstm.freezing import data_files, modules

hiddenimports = modules()
datas = data_files()
