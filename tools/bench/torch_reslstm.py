"""ResLSTM-SA in PyTorch, as somebody who knows PyTorch would write it: the peer of the benches.

Parameter names are those of npreslstm's state_dict. `Packed` runs nn.LSTM on packed sequences, and its batch
norm sees the packed rows, so that no padded frame counts. `Padded` runs nn.LSTM on the padded batch, which
lets PyTorch use oneDNN, and picks out the valid frames for the batch norm. `Plain` does without lengths, for
evaluating clips of one length.
"""

import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence


class Packed(nn.Module):
    def __init__(self, D=46, H=64, C=8, dropout=0.5):
        super().__init__()
        self.lstm1 = nn.LSTM(D, D, batch_first=True)
        self.bn_residual = nn.BatchNorm1d(D)
        self.lstm2 = nn.LSTM(D, H, batch_first=True)
        self.attention_vector = nn.Parameter(torch.empty(H, 1))
        self.bn = nn.BatchNorm1d(H)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(H, C)

    def forward(self, x, lengths):
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        hidden, _ = self.lstm1(packed)
        rows = self.bn_residual(packed.data + hidden.data)
        hidden, _ = self.lstm2(
            PackedSequence(rows, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices)
        )
        return self.head(pad_packed_sequence(hidden, batch_first=True)[0], lengths)

    def head(self, hidden, lengths):
        scores = (hidden @ self.attention_vector).squeeze(-1)
        valid = torch.arange(hidden.shape[1]) < lengths[:, None]
        alpha = torch.softmax(scores.masked_fill(~valid, float("-inf")), dim=1)
        context = torch.bmm(alpha.unsqueeze(1), hidden).squeeze(1)
        return self.fc(self.dropout(self.bn(context)))


class Padded(Packed):
    def forward(self, x, lengths):
        valid = torch.arange(x.shape[1]) < lengths[:, None]
        hidden, _ = self.lstm1(x)
        rows = self.bn_residual((x + hidden)[valid])
        middle = torch.zeros_like(x)
        middle[valid] = rows
        return self.head(self.lstm2(middle)[0], lengths)


class Plain(Packed):
    def forward(self, x, lengths):
        y = x + self.lstm1(x)[0]
        hidden, _ = self.lstm2(self.bn_residual(y.transpose(1, 2)).transpose(1, 2))
        alpha = torch.softmax(hidden @ self.attention_vector, dim=1)
        return self.fc(self.dropout(self.bn((alpha * hidden).sum(dim=1))))


def load(kind, model):
    """A `Packed`, `Padded` or `Plain` with the sizes, dropout and weights of a `npreslstm` ResLSTM."""
    config = model.config
    net = kind(config.input_size, config.hidden_size, config.num_classes, config.dropout)
    net.load_state_dict({name: torch.as_tensor(value) for name, value in model.state_dict().items()})
    return net
